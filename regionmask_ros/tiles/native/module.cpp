// What the library shows to Python: it is loaded with ctypes and has no Python module in it.
#include "sets.h"

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
#endif

// The fastest first.
constexpr Candidate kCandidates[] = {
#if defined(__x86_64__)
    {&kAvx2, has_avx2},
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
