// What the library shows to Python: it is loaded with ctypes and has no Python module in it.
#include "sets.h"

#if defined(__x86_64__)
#include <cpuid.h>
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
bool has_avx2() { return __builtin_cpu_supports("avx2"); }

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
#elif defined(__aarch64__)
// HWCAP_ASIMDDP of the Linux kernel.
bool has_neon_dot() { return getauxval(AT_HWCAP) >> 20 & 1; }
#endif

// The fastest first.
constexpr Candidate kCandidates[] = {
#if defined(__x86_64__)
    {&kAvx512Vnni, has_avx512_vnni},
    {&kAvxVnni, has_avx_vnni},
    {&kAvx2, has_avx2},
#elif defined(__aarch64__)
    {&kNeonDot, has_neon_dot},
#endif
    {&kPortable, always},
};

bool are_equal(const char* a, const char* b) {
    for (; *a == *b; ++a, ++b)
        if (*a == 0) return true;
    return false;
}

}  // namespace

const KernelSet* find_kernel_set(const char* name) {
    for (const Candidate& candidate : kCandidates)
        if (are_equal(candidate.set->name, name)) return candidate.is_usable() ? candidate.set : nullptr;
    return nullptr;
}

const KernelSet* best_kernel_set() {
    for (const Candidate& candidate : kCandidates)
        if (candidate.is_usable()) return candidate.set;
    return nullptr;
}

}  // namespace tiles

// The digest of the sources that this library was made from, see native_sources.py.
TILES_EXPORT const char* rm_tiles_digest() { return REGIONMASK_TILES_DIGEST; }

// Usable kernel sets by number, the fastest first; nullptr behind the last one.
TILES_EXPORT const tiles::KernelSet* rm_tiles_kernel_set(int32_t number) {
    for (const tiles::Candidate& candidate : tiles::kCandidates)
        if (candidate.is_usable() && number-- == 0) return candidate.set;
    return nullptr;
}
