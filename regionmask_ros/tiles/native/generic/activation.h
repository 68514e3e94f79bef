// Activations, as in the table of kernels.h.
#pragma once

#include "../exponential.h"
#include "../kernels.h"
#include "vectors.h"

namespace tiles {

// exp(-y), see exponential.h. Adding 1.5 * 2^23 rounds to an integer, half to even, and leaves it in the lowest bits;
// shifted, it is what 2^n adds to the bits of a float.
template <class Isa>
TILES_INLINE typename Isa::Float exp_of_negative(typename Isa::Float y) {
    using Float = typename Isa::Float;
    using Int = typename Isa::Int;
    const Float round = Isa::splat(0x1.8p23f);
    Float t = y * Isa::splat(-kLog2E);
    t = Isa::min(Isa::max(t, Isa::splat(-kLargest)), Isa::splat(kLargest));
    const Float shifted = t + round;
    const Float f = t - (shifted - round);
    Float p = Isa::splat(kC4) * f + Isa::splat(kC3);
    p = p * f + Isa::splat(kC2);
    p = p * f + Isa::splat(kC1);
    p = p * f + Isa::splat(1.0f);
    return (Float)((Int)p + ((Int)shifted << 23));
}

template <class Isa, int32_t kind>
TILES_INLINE typename Isa::Float activate(typename Isa::Float y, float alpha, float beta) {
    using Float = typename Isa::Float;
    const Float zero = Isa::splat(0.0f), one = Isa::splat(1.0f);
    if constexpr (kind == kRelu) return Isa::max(y, zero);
    if constexpr (kind == kRelu6) return Isa::min(Isa::max(y, zero), Isa::splat(6.0f));
    if constexpr (kind == kLeakyRelu) return Isa::if_positive(y, y, y * Isa::splat(alpha));
    if constexpr (kind == kSigmoid) return one / (one + exp_of_negative<Isa>(y));
    if constexpr (kind == kSilu) return y / (one + exp_of_negative<Isa>(y));
    if constexpr (kind == kHardSigmoid)
        return Isa::min(Isa::max(y * Isa::splat(alpha) + Isa::splat(beta), zero), one);
    if constexpr (kind == kHardSwish)
        return y * Isa::min(Isa::max(y + Isa::splat(3.0f), zero), Isa::splat(6.0f)) * Isa::splat(1.0f / 6.0f);
    return y;
}

// Calls work(kind) with the activation as a constant: each gets a loop of its own.
template <class Work>
TILES_INLINE void with_activation(int32_t kind, Work work) {
    switch (kind) {
        case kRelu: return work(Constant<kRelu>());
        case kRelu6: return work(Constant<kRelu6>());
        case kLeakyRelu: return work(Constant<kLeakyRelu>());
        case kSigmoid: return work(Constant<kSigmoid>());
        case kSilu: return work(Constant<kSilu>());
        case kHardSigmoid: return work(Constant<kHardSigmoid>());
        case kHardSwish: return work(Constant<kHardSwish>());
        default: return work(Constant<kIdentity>());
    }
}

}  // namespace tiles
