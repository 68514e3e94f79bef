// The kernels of one instruction set, made from the generic ones.
#pragma once

#include "bytes.h"
#include "depthwise.h"
#include "elements.h"
#include "enlargement.h"
#include "pools.h"
#include "product.h"

namespace tiles {

static bool supports_all(Operation, int, int, int) { return true; }

template <class Isa>
constexpr KernelSet make_kernel_set(const char* name) {
    return {
        name,
        supports_all,
        Product<Isa>::panel_pixels,
        Product<Isa>::panel_bytes,
        Product<Isa>::gather,
        Product<Isa>::packed_bytes,
        Product<Isa>::pack,
        Product<Isa>::template multiply<uint8_t>,
        Product<Isa>::template multiply<float>,
        Depthwise<Isa>::packed_bytes,
        Depthwise<Isa>::pack,
        Depthwise<Isa>::run,
        Pools<Isa>::max,
        Pools<Isa>::average,
        Elements<Isa>::add,
        Elements<Isa>::multiply,
        Elements<Isa>::activate,
        Bytes<Isa>::add_squares,
        Bytes<Isa>::replace,
        Bytes<Isa>::copy,
        Enlargement<Isa>::run,
    };
}

}  // namespace tiles
