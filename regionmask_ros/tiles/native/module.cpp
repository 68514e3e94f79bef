// What the library shows to Python: it is loaded with ctypes and has no Python module in it.
#include <atomic>

#include "agreement.h"
#include "sets.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define TILES_EXPORT extern "C" __attribute__((visibility("default")))

namespace tiles {
namespace {

struct Candidate {
    const KernelSet* set;
    bool (*is_usable)();
};

bool always() { return true; }

#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

// Not every compiler knows this one by name: it is bit 4 of EAX of CPUID's leaf 7, subleaf 1.
bool has_avx_vnni() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

bool has_avx512_vnni() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

// Tiles are large, and Linux gives them to a process that asks for them (ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
bool may_use_matrix_tiles() {
#if defined(__linux__)
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
    return false;
#endif
}

// AMX-TILE and AMX-INT8 are bits 24 and 25 of EDX of CPUID's leaf 7. A processor, an emulator or a virtual machine that
// has them is believed when they multiply right.
bool find_amx_int8() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return has_avx512_vnni() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 3) == 3 &&
           may_use_matrix_tiles() && multiply_alike(kAmxInt8, kAvx512Vnni);
}

bool has_amx_int8() {
    static std::atomic<int> known{-1};
    if (known < 0) known = find_amx_int8();
    return known > 0;
}
#elif defined(__aarch64__)
// HWCAP_ASIMDDP of the Linux kernel.
bool has_neon_dot() { return getauxval(AT_HWCAP) >> 20 & 1; }
#endif

// The fastest first.
constexpr Candidate kCandidates[] = {
#if defined(__x86_64__)
    {&kAmxInt8, has_amx_int8},
    {&kAvx512Vnni, has_avx512_vnni},
    {&kAvxVnni, has_avx_vnni},
    {&kAvx2, has_avx2},
#elif defined(__aarch64__)
    {&kNeonDot, has_neon_dot},
#endif
    {&kPortable, always},
};

}  // namespace
}  // namespace tiles

// The digest of the sources that this library was made from, see native_sources.py.
TILES_EXPORT const char* rm_tiles_digest() { return REGIONMASK_TILES_DIGEST; }

// Usable kernel sets by number, the fastest first; nullptr behind the last one.
TILES_EXPORT const tiles::KernelSet* rm_tiles_kernel_set(int32_t number) {
    for (const tiles::Candidate& candidate : tiles::kCandidates)
        if (candidate.is_usable() && number-- == 0) return candidate.set;
    return nullptr;
}
