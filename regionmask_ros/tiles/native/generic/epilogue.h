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

// Stores the bytes of `count` pixels, `strips` vectors of channels each.
template <class Isa, int strips, class Bytes>
TILES_INLINE void store_bytes(Bytes bytes, int count, uint8_t* out, int64_t out_pitch) {
    constexpr int size = strips * Isa::lanes;
    uint8_t kept[sizeof bytes];
    store(kept, bytes);
    for (int p = 0; p < count; ++p) __builtin_memcpy(out + p * out_pitch, kept + p * size, size);
}

template <class Isa, int strips>
TILES_INLINE void store_pixels(const typename Isa::Float* z, int count, const Epilogue&, int, float* out,
                               int64_t out_pitch) {
    for (int i = 0; i < count * strips; ++i) store(out + i / strips * out_pitch + i % strips * Isa::lanes, z[i]);
}

template <class Isa, int strips>
TILES_INLINE void store_pixels(const typename Isa::Float* z, int count, const Epilogue& e, int channel, uint8_t* out,
                               int64_t out_pitch) {
    constexpr int together = Isa::narrowed / strips;
    for (int first = 0; first < count; first += together) {
        typename Isa::Int values[Isa::narrowed] = {};
        for (int i = 0; i < strips * smaller(together, count - first); ++i) {
            const int c = channel + i % strips * Isa::lanes;
            values[i] = quantize<Isa>(z[first * strips + i], e.scale + c, e.zero + c);
        }
        store_bytes<Isa, strips>(Isa::narrow(values), smaller(together, count - first), out + first * out_pitch,
                                 out_pitch);
    }
}

// Outputs of `strips` vectors of channels, from `channel` on, of `pixels` pixels. sums: [pixels][strips * lanes].
template <class Isa, int32_t kind, int strips, int pixels, class Output>
TILES_INLINE void finish_pixels(const int32_t* sums, const Epilogue& e, int channel, Output* out, int64_t out_pitch) {
    constexpr int count = pixels * strips;
    Floats<Isa, count> y;
    for (int i = 0; i < count; ++i) {
        const int c = channel + i % strips * Isa::lanes;
        y[i] = rescale<Isa>(load<typename Isa::Int>(sums + i * Isa::lanes), e.multiplier + c, e.bias + c);
    }
    activate<Isa, kind, count>(y, e.alpha, e.beta);
    store_pixels<Isa, strips>(y, pixels, e, channel, out, out_pitch);
}

// The same for n pixels, eight vectors at a time. One function for all operators: compiling it takes long.
template <class Isa, int strips, class Output>
__attribute__((noinline)) static void finish(const int32_t* sums, int n, const Epilogue& epilogue, int channel, Output* out,
                         int64_t out_pitch) {
    constexpr int many = 8 / strips, some = many / 2;
    const Epilogue e = epilogue;
    with_activation(e.activation, [&](auto constant) __attribute__((always_inline)) {
        constexpr int32_t kind = decltype(constant)::value;
        const int32_t* from = sums;
        Output* to = out;
        auto take = [&](auto pixels) __attribute__((always_inline)) {
            constexpr int count = decltype(pixels)::value;
            for (; n >= count; n -= count, from += count * strips * Isa::lanes, to += count * out_pitch) {
                if (e.ahead) e.ahead->fetch();
                finish_pixels<Isa, kind, strips, count>(from, e, channel, to, out_pitch);
            }
        };
        take(Constant<many>());
        if constexpr (some > 1) take(Constant<some>());
        take(Constant<1>());
    });
}

}  // namespace tiles
