// From sums to outputs: y = float(sum) * multiplier + bias, z = activation(y), q = rint(clamp(z * scale + zero)).
#pragma once

#include "activation.h"

namespace tiles {

// The most pixels whose sums are kept at a time, in the first-level cache.
constexpr int kSumPixels = 48;

// y = float(sum) * multiplier + bias
template <class Isa>
TILES_INLINE typename Isa::Float rescale(typename Isa::Int sum, const float* multiplier, const float* bias) {
    using Float = typename Isa::Float;
    return Isa::to_float(sum) * load<Float>(multiplier) + load<Float>(bias);
}

// rint(min(max(z * scale + zero, 0), 255)); what is below 0 becomes 0 when the integers are narrowed to bytes.
template <class Isa>
TILES_INLINE typename Isa::Int quantize(typename Isa::Float z, const float* scale, const float* zero) {
    using Float = typename Isa::Float;
    return Isa::rint_up_to_255(z * load<Float>(scale) + load<Float>(zero));
}

// Outputs of `strips` vectors of channels from `channel` on, for n pixels. sums: [n][strips * lanes].
template <class Isa, int strips, class Output>
TILES_INLINE void finish(const int32_t* sums, int n, const Epilogue& epilogue, int channel, Output* out,
                         int64_t out_pitch) {
    using Int = typename Isa::Int;
    constexpr int lanes = Isa::lanes;
    const Epilogue e = epilogue;
    const float *multiplier = e.multiplier + channel, *bias = e.bias + channel;
    with_activation(e.activation, [&](auto kind) __attribute__((always_inline)) {
        auto activated = [&](int p, int s) __attribute__((always_inline)) {
            const Int sum = load<Int>(sums + (p * strips + s) * lanes);
            return activate<Isa, decltype(kind)::value>(rescale<Isa>(sum, multiplier + s * lanes, bias + s * lanes),
                                                        e.alpha, e.beta);
        };
        for (int p = 0; p < n; ++p) {
            Output* to = out + p * out_pitch;
            if constexpr (sizeof(Output) == sizeof(float)) {
                for (int s = 0; s < strips; ++s) store(to + s * lanes, activated(p, s));
            } else {
                Int values[strips];
                for (int s = 0; s < strips; ++s)
                    values[s] = quantize<Isa>(activated(p, s), e.scale + channel + s * lanes,
                                              e.zero + channel + s * lanes);
                Isa::template store_bytes<strips>(to, values);
            }
        }
    });
}

}  // namespace tiles
