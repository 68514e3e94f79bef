// Takes the place of native/module.cpp: a library whose kernel sets are that for AMX, with matrix_tiles.cpp, and the one
// that it is made from.
#include "agreement.h"
#include "sets.h"

#define TILES_EXPORT extern "C" __attribute__((visibility("default")))

using namespace tiles;

TILES_EXPORT const char* rm_tiles_digest() { return REGIONMASK_TILES_DIGEST; }

TILES_EXPORT const KernelSet* rm_tiles_kernel_set(int32_t number) {
    return number == 0 ? &kAmxInt8 : number == 1 ? &kAvx512Vnni : nullptr;
}

TILES_EXPORT bool do_multiply_alike(const KernelSet* first, const KernelSet* second) {
    return multiply_alike(*first, *second);
}
