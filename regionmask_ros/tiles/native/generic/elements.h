// Operators that take pixels element by element.
//
// Channels are taken in strips of one vector: as many strips at once as are narrowed to bytes at once or, where fewer are
// left, one strip or two of several pixels. What belongs to a channel stays in registers.
#pragma once

#include "epilogue.h"

namespace tiles {

template <class Isa>
struct Elements {
    using Float = typename Isa::Float;
    static constexpr int lanes = Isa::lanes;

    TILES_INLINE Float read(const uint8_t* from) { return Isa::to_float(Isa::widen(from)); }

    // A pixel of a block, and how far it is to the next one of its row, and from the last one to that of the next row.
    struct Place {
        uint8_t* at;
        int64_t next, next_row;
        Place(const Pixels& pixels, int cols)
            : at(pixels.first), next(pixels.pixel_pitch), next_row(pixels.row_pitch - (cols - 1) * next) {}
        __attribute__((always_inline)) void advance(bool is_last) { at += is_last ? next_row : next; }
    };

    struct Block {
        Place a, b, out;
        int rows, cols;
    };

    // What belongs to `strips` vectors of channels.
    template <class Operator, int strips>
    struct Strips {
        typename Operator::Constants inputs[strips];
        Float scale[strips], zero[strips];
    };

    // The next pixels of a block, from a channel on; `x`: the column.
    template <int32_t kind, int strips, int pixels, class Operator>
    TILES_INLINE void take_pixels(Block& block, int& x, const Strips<Operator, strips>& constants, const Epilogue& e,
                                  int channel) {
        constexpr int count = pixels * strips;
        Float y[count];
        uint8_t* out[pixels];
        for (int p = 0; p < pixels; ++p) {
            for (int s = 0; s < strips; ++s) {
                const int c = channel + s * lanes;
                y[p * strips + s] = Operator::compute(block.a.at + c, block.b.at + c, constants.inputs[s]);
            }
            out[p] = block.out.at + channel;
            const bool is_last = ++x == block.cols;
            if (is_last) x = 0;
            block.a.advance(is_last);
            block.b.advance(is_last);
            block.out.advance(is_last);
        }
        tiles::activate<Isa, kind, count>(y, e.alpha, e.beta);
        typename Isa::Int values[Isa::narrowed] = {};
        for (int i = 0; i < count; ++i)
            values[i] = Isa::rint_up_to_255(y[i] * constants.scale[i % strips] + constants.zero[i % strips]);
        uint8_t bytes[Isa::narrowed * lanes];
        store(bytes, Isa::narrow(values));
        for (int p = 0; p < pixels; ++p) __builtin_memcpy(out[p], bytes + p * strips * lanes, strips * lanes);
    }

    // `strips` vectors of channels from `channel` on, of all pixels.
    template <int32_t kind, int strips, class Operator>
    TILES_INLINE void take_strips(Block block, const Epilogue& e, const Operator& op, int channel) {
        constexpr int together = Isa::narrowed / strips;
        Strips<Operator, strips> constants;
        for (int s = 0; s < strips; ++s) {
            const int c = channel + s * lanes;
            constants.inputs[s] = op.load_constants(c);
            constants.scale[s] = load<Float>(e.scale + c);
            constants.zero[s] = load<Float>(e.zero + c);
        }
        int left = block.rows * block.cols, x = 0;
        for (; left >= together; left -= together)
            take_pixels<kind, strips, together, Operator>(block, x, constants, e, channel);
        if constexpr (together > 1)
            for (; left > 0; --left) take_pixels<kind, strips, 1, Operator>(block, x, constants, e, channel);
    }

    template <class Operator>
    TILES_INLINE void run(const Block& block, int channels, const Epilogue* epilogue, const Operator& op) {
        constexpr int most = Isa::narrowed, least = kChannelPad / lanes;
        const Epilogue e = *epilogue;
        channels = (int)round_up(channels, kChannelPad);
        with_activation(e.activation, [&](auto constant) __attribute__((always_inline)) {
            constexpr int32_t kind = decltype(constant)::value;
            int c = 0;
            for (; c + most * lanes <= channels; c += most * lanes) take_strips<kind, most>(block, e, op, c);
            if constexpr (least < most)
                for (; c < channels; c += kChannelPad) take_strips<kind, least>(block, e, op, c);
        });
    }

    //   y = (float(a) * ma + float(b) * mb) + bias
    struct Sum {
        const float *ma, *mb, *bias;
        struct Constants {
            Float ma, mb, bias;
        };
        Constants load_constants(int c) const {
            return {load<Float>(ma + c), load<Float>(mb + c), load<Float>(bias + c)};
        }
        TILES_INLINE Float compute(const uint8_t* a, const uint8_t* b, const Constants& c) {
            return (read(a) * c.ma + read(b) * c.mb) + c.bias;
        }
    };

    static void add(const Pixels& a, const Pixels& b, int rows, int cols, int channels, const float* ma,
                    const float* mb, const Epilogue* epilogue, const Pixels& out) {
        run({{a, cols}, {b, cols}, {out, cols}, rows, cols}, channels, epilogue, Sum{ma, mb, epilogue->bias});
    }

    //   y = ((float(a) - za) * ma) * ((float(b) - zb) * mb)
    struct Multiplication {
        const float *za, *ma, *zb, *mb;
        struct Constants {
            Float za, ma, zb, mb;
        };
        Constants load_constants(int c) const {
            return {load<Float>(za + c), load<Float>(ma + c), load<Float>(zb + c), load<Float>(mb + c)};
        }
        TILES_INLINE Float compute(const uint8_t* a, const uint8_t* b, const Constants& c) {
            return ((read(a) - c.za) * c.ma) * ((read(b) - c.zb) * c.mb);
        }
    };

    static void multiply(const Pixels& a, const Pixels& b, int rows, int cols, int channels, const float* za,
                         const float* ma, const float* zb, const float* mb, const Epilogue* epilogue,
                         const Pixels& out) {
        run({{a, cols}, {b, cols}, {out, cols}, rows, cols}, channels, epilogue, Multiplication{za, ma, zb, mb});
    }

    //   y = float(a) * multiplier + bias
    struct Scaling {
        const float *multiplier, *bias;
        struct Constants {
            Float multiplier, bias;
        };
        Constants load_constants(int c) const { return {load<Float>(multiplier + c), load<Float>(bias + c)}; }
        TILES_INLINE Float compute(const uint8_t* a, const uint8_t*, const Constants& c) {
            return read(a) * c.multiplier + c.bias;
        }
    };

    static void activate(const Pixels& a, int rows, int cols, int channels, const Epilogue* epilogue,
                         const Pixels& out) {
        const Scaling scaling = {epilogue->multiplier, epilogue->bias};
        run({{a, cols}, {a, cols}, {out, cols}, rows, cols}, channels, epilogue, scaling);
    }
};

}  // namespace tiles
