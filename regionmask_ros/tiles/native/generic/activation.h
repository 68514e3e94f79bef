// Activations, as in the table of kernels.h.
#pragma once

#include "../exponential.h"
#include "../kernels.h"
#include "vectors.h"

namespace tiles {

// Activations take `count` vectors at a time, step by step: their long chains of operations overlap.
template <class Isa, int count>
using Floats = typename Isa::Float[count];

// exp(-y), see exponential.h. Adding 1.5 * 2^23 rounds to an integer, half to even, and leaves it in the lowest bits;
// shifted, it is what 2^n adds to the bits of a float.
template <class Isa, int count>
TILES_INLINE void exp_of_negative(const Floats<Isa, count>& y, Floats<Isa, count>& result) {
    using Float = typename Isa::Float;
    using Int = typename Isa::Int;
    const Float round = Isa::splat(0x1.8p23f), largest = Isa::splat(kLargest);
    Int power[count];
    for (int i = 0; i < count; ++i) {
        const Float t = Isa::min(Isa::max(y[i] * Isa::splat(-kLog2E), -largest), largest);
        const Float shifted = t + round;
        power[i] = (Int)shifted << 23;
        result[i] = t - (shifted - round);
    }
    for (int i = 0; i < count; ++i) {
        const Float f = result[i];
        const Float p = ((Isa::splat(kC3) * f + Isa::splat(kC2)) * f + Isa::splat(kC1)) * f + Isa::splat(1.0f);
        result[i] = (Float)((Int)p + power[i]);
    }
}

// y / (1 + exp(-y)), or 1 / (1 + exp(-y)).
template <class Isa, bool times_y, int count>
TILES_INLINE void logistic(Floats<Isa, count>& y) {
    const auto one = Isa::splat(1.0f);
    Floats<Isa, count> e;
    exp_of_negative<Isa, count>(y, e);
    for (int i = 0; i < count; ++i) y[i] = (times_y ? y[i] : one) / (one + e[i]);
}

template <class Isa, int32_t kind>
TILES_INLINE typename Isa::Float activate_simple(typename Isa::Float y, float alpha, float beta) {
    const auto zero = Isa::splat(0.0f), six = Isa::splat(6.0f);
    if constexpr (kind == kRelu) return Isa::max(y, zero);
    if constexpr (kind == kRelu6) return Isa::min(Isa::max(y, zero), six);
    if constexpr (kind == kLeakyRelu) return Isa::if_positive(y, y, y * Isa::splat(alpha));
    if constexpr (kind == kHardSigmoid)
        return Isa::min(Isa::max(y * Isa::splat(alpha) + Isa::splat(beta), zero), Isa::splat(1.0f));
    if constexpr (kind == kHardSwish)
        return y * Isa::min(Isa::max(y + Isa::splat(3.0f), zero), six) * Isa::splat(1.0f / 6.0f);
    return y;
}

template <class Isa, int32_t kind, int count>
TILES_INLINE void activate(Floats<Isa, count>& y, float alpha, float beta) {
    if constexpr (kind == kSigmoid || kind == kSilu)
        logistic<Isa, kind == kSilu, count>(y);
    else
        for (int i = 0; i < count; ++i) y[i] = activate_simple<Isa, kind>(y[i], alpha, beta);
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
