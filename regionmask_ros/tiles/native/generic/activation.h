// Activations, as in the table of kernels.h.
#pragma once

#include "../exponential.h"
#include "../kernels.h"
#include "vectors.h"

namespace tiles {

// Activations take `count` vectors at a time, step by step: their long chains of operations overlap.
template <class Isa, int count>
using Floats = typename Isa::Float[count];

// exp(-y), see exponential.h: t = n + f, and 2^n goes into the exponent's bits.
template <class Isa, int count>
TILES_INLINE void exp_of_negative(const Floats<Isa, count>& y, Floats<Isa, count>& result) {
    using Float = typename Isa::Float;
    typename Isa::Rounded n[count];
    Float f[count];
    for (int i = 0; i < count; ++i) f[i] = Isa::clamp(y[i] * Isa::splat(-kLog2E), kLargest);
    for (int i = 0; i < count; ++i) n[i] = Isa::rint(f[i]);
    for (int i = 0; i < count; ++i) f[i] = Isa::minus(f[i], n[i].value);
    for (int i = 0; i < count; ++i) result[i] = Isa::plus(Isa::splat(kC3) * f[i], Isa::splat(kC2));
    for (int i = 0; i < count; ++i) result[i] = Isa::plus(result[i] * f[i], Isa::splat(kC1));
    for (int i = 0; i < count; ++i) result[i] = Isa::plus(result[i] * f[i], Isa::splat(1.0f));
    for (int i = 0; i < count; ++i) result[i] = Isa::times_power_of_two(result[i], n[i]);
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
