#include "../generic/kernel_set.h"
#include "../sets.h"
#include "product.h"

namespace tiles {

// AVX-512's kernels, and products with tiles.
constexpr KernelSet make_set() {
    KernelSet set = make_kernel_set<Avx512Vnni>("amx_int8");
    set.supports = TileProduct::supports;
    set.panel_pixels = TileProduct::panel_pixels;
    set.panel_bytes = TileProduct::panel_bytes;
    set.gather = TileProduct::gather;
    set.packed_weight_bytes = TileProduct::packed_bytes;
    set.pack_weights = TileProduct::pack;
    set.multiply = TileProduct::multiply<uint8_t>;
    set.multiply_float = TileProduct::multiply<float>;
    return set;
}

extern const KernelSet kAmxInt8 = make_set();

}  // namespace tiles
