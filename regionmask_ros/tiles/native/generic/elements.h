// Operators that take pixels element by element.
#pragma once

#include "epilogue.h"

namespace tiles {

template <class Isa>
struct Elements {
    using Int = typename Isa::Int;
    using Float = typename Isa::Float;
    static constexpr int lanes = Isa::lanes;

    // q = quantize(activation(y)), where compute(pixel, channel) returns y of one vector.
    template <class Compute>
    TILES_INLINE void each(int n, int channels, const Epilogue& e, uint8_t* out, int64_t out_pitch, Compute compute) {
        constexpr int count = kChannelPad / lanes;
        with_activation(e.activation, [&](auto kind) __attribute__((always_inline)) {
            for (int p = 0; p < n; ++p)
                for (int c = 0; c < channels; c += kChannelPad) {
                    Float y[count];
                    for (int i = 0; i < count; ++i) y[i] = compute(p, c + i * lanes);
                    tiles::activate<Isa, decltype(kind)::value, count>(y, e.alpha, e.beta);
                    store_pixels<Isa, count>(y, 1, e, c, out + p * out_pitch + c, out_pitch);
                }
        });
    }

    TILES_INLINE Float read(const uint8_t* from) { return Isa::to_float(Isa::widen(from)); }

    //   y = (float(a) * ma + float(b) * mb) + bias
    static void add(const uint8_t* a, int64_t a_pitch, const uint8_t* b, int64_t b_pitch, int n, int channels,
                    const float* ma, const float* mb, const Epilogue* epilogue, uint8_t* out, int64_t out_pitch) {
        const Epilogue e = *epilogue;
        each(n, channels, e, out, out_pitch, [&](int p, int c) __attribute__((always_inline)) {
            return (read(a + p * a_pitch + c) * load<Float>(ma + c) + read(b + p * b_pitch + c) * load<Float>(mb + c)) +
                   load<Float>(e.bias + c);
        });
    }

    //   y = ((float(a) - za) * ma) * ((float(b) - zb) * mb)
    static void multiply(const uint8_t* a, int64_t a_pitch, const uint8_t* b, int64_t b_pitch, int n, int channels,
                         const float* za, const float* ma, const float* zb, const float* mb, const Epilogue* epilogue,
                         uint8_t* out, int64_t out_pitch) {
        each(n, channels, *epilogue, out, out_pitch, [&](int p, int c) __attribute__((always_inline)) {
            return ((read(a + p * a_pitch + c) - load<Float>(za + c)) * load<Float>(ma + c)) *
                   ((read(b + p * b_pitch + c) - load<Float>(zb + c)) * load<Float>(mb + c));
        });
    }

    //   y = float(a) * multiplier + bias
    static void activate(const uint8_t* a, int64_t a_pitch, int n, int channels, const Epilogue* epilogue, uint8_t* out,
                         int64_t out_pitch) {
        const Epilogue e = *epilogue;
        each(n, channels, e, out, out_pitch, [&](int p, int c) __attribute__((always_inline)) {
            return rescale<Isa>(Isa::widen(a + p * a_pitch + c), e.multiplier + c, e.bias + c);
        });
    }
};

}  // namespace tiles
