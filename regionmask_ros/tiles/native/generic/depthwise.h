// Depthwise convolution:  sum[p][c] = offset[c] + sum over y, x of weights[c][y][x] * window[y][p * stride + x][c].
//
// Channels are taken in strips of one vector, several strips at a time. `group` neighboring rows of a column are
// interleaved and multiplied at once; rows that are missing in the last group have zero weights. The sums of several rows
// and blocks are finished together: few pixels would leave the long chains of an activation waiting for each other.
// Packed weights, strip after strip:  int32 offsets [lanes], then weights [kw][groups of rows][lanes][group].
#pragma once

#include "epilogue.h"

namespace tiles {

template <class Isa>
struct Depthwise {
    using Int = typename Isa::Int;
    using Weight = typename Isa::Weight;
    using Weights = typename Isa::Weights;
    static constexpr int lanes = Isa::lanes, group = Isa::group;

    static constexpr int groups(int kh) { return (kh + group - 1) / group; }

    static int64_t strip_bytes(int kh, int kw) {
        return lanes * (int64_t)sizeof(int32_t) + kw * groups(kh) * lanes * group * (int64_t)sizeof(Weight);
    }

    static int64_t packed_bytes(int channels, int kh, int kw) {
        return round_up(channels, kChannelPad) / lanes * strip_bytes(kh, kw);
    }

    static void pack(const int8_t* weights, const int32_t* offset, int channels, int kh, int kw, void* packed) {
        for (int first = 0; first < round_up(channels, kChannelPad); first += lanes) {
            int32_t* sums = (int32_t*)((char*)packed + first / lanes * strip_bytes(kh, kw));
            Weight* to = (Weight*)(sums + lanes);
            for (int lane = 0; lane < lanes; ++lane) {
                const int channel = first + lane;
                int32_t total = 0;
                for (int x = 0; x < kw; ++x)
                    for (int y = 0; y < groups(kh) * group; ++y) {
                        const int8_t weight =
                            channel < channels && y < kh ? weights[((int64_t)channel * kh + y) * kw + x] : 0;
                        to[((x * groups(kh) + y / group) * lanes + lane) * group + y % group] = weight;
                        total += weight;
                    }
                sums[lane] = (channel < channels ? offset[channel] : 0) + total * Isa::panel_shift;
            }
        }
    }

    // Where a strip's pixels and weights are, and where its sums go: pixel p at sums + p * sums_pitch.
    struct Strip {
        const uint8_t* window;
        int64_t row_pitch, pixel_pitch;
        const int32_t* offset;
        const Weight* weights;
        int32_t* sums;
        int64_t sums_pitch;
    };

    // Any window, from the start for each pixel.
    static void add_up(const Strip& strip, int stride, int kh, int kw, int n) {
        for (int p = 0; p < n; ++p) {
            Int sum = load<Int>(strip.offset);
            const Weight* weights = strip.weights;
            for (int x = 0; x < kw; ++x) {
                const uint8_t* top = strip.window + (p * stride + x) * strip.pixel_pitch;
                for (int y = 0; y < kh; y += group, weights += lanes * group)
                    sum = Isa::dot(sum, Isa::interleave(top + y * strip.row_pitch, strip.row_pitch, kh - y),
                                   load<Weights>(weights));
            }
            store(strip.sums + p * strip.sums_pitch, sum);
        }
    }

    // A window of fixed size, square: columns stay in registers while the window slides over them.
    template <int size, int stride>
    static void slide(const Strip& strip, int n) {
        constexpr int height = groups(size);
        using Rows = decltype(Isa::interleave(strip.window, 0, 1));
        Weights weights[size][height];
        Rows column[size][height];
        for (int i = 0; i < size * height; ++i)
            weights[i / height][i % height] = load<Weights>(strip.weights + i * lanes * group);
        const uint8_t* next = strip.window;
        auto read = [&](int x) __attribute__((always_inline)) {
            for (int y = 0; y < size; y += group)
                column[x][y / group] = Isa::interleave(next + y * strip.row_pitch, strip.row_pitch, size - y);
            next += strip.pixel_pitch;
        };
        for (int x = 0; x < size - stride; ++x) read(x);
        for (int p = 0; p < n; ++p) {
            for (int x = size - stride; x < size; ++x) read(x);
            Int sum = load<Int>(strip.offset);
            for (int x = 0; x < size; ++x)
                for (int g = 0; g < height; ++g) sum = Isa::dot(sum, column[x][g], weights[x][g]);
            store(strip.sums + p * strip.sums_pitch, sum);
            for (int x = 0; x < size - stride; ++x)
                for (int g = 0; g < height; ++g) column[x][g] = column[x + stride][g];
        }
    }

    static void add_up_best(const Strip& strip, int stride, int kh, int kw, int n) {
        if (kh == 3 && kw == 3 && stride == 1) return slide<3, 1>(strip, n);
        if (kh == 3 && kw == 3 && stride == 2) return slide<3, 2>(strip, n);
        if (kh == 5 && kw == 5 && stride == 1) return slide<5, 1>(strip, n);
        if (kh == 5 && kw == 5 && stride == 2) return slide<5, 2>(strip, n);
        add_up(strip, stride, kh, kw, n);
    }

    // What all blocks have in common.
    struct Call {
        int64_t row_pitch, pixel_pitch;
        int stride, kh, kw, channels;
        const void* packed;
        const Epilogue* epilogue;
        int64_t out_pitch;
    };

    // Blocks whose sums are kept at a time.
    struct Batch {
        Window windows[kSumPixels];
        int count = 0, pixels = 0;
    };

    // `strips` vectors of channels from `channel` on.
    template <int strips>
    static void run_strips(const Call& call, const Batch& batch, int channel, uint8_t* out) {
        alignas(kAlignment) int32_t sums[kSumPixels * strips * lanes];
        const char* packed = (const char*)call.packed + channel / lanes * strip_bytes(call.kh, call.kw);
        for (int s = 0; s < strips; ++s, packed += strip_bytes(call.kh, call.kw)) {
            const int32_t* offset = (const int32_t*)packed;
            int32_t* to = sums + s * lanes;
            for (int i = 0; i < batch.count; ++i) {
                const Window& block = batch.windows[i];
                const uint8_t* window = block.first + channel + s * lanes;
                for (int y = 0; y < block.rows; ++y, to += block.cols * strips * lanes)
                    add_up_best({window + y * call.stride * call.row_pitch, call.row_pitch, call.pixel_pitch, offset,
                                 (const Weight*)(offset + lanes), to, strips * lanes},
                                call.stride, call.kh, call.kw, block.cols);
            }
        }
        finish<Isa, strips>(sums, batch.pixels, *call.epilogue, channel, out + channel, call.out_pitch);
    }

    // Computes the blocks of a batch, which is empty then. Returns where the next ones go.
    static uint8_t* run_batch(const Call& call, Batch& batch, uint8_t* out) {
        constexpr int least = kChannelPad / lanes, most = Isa::strips > least ? Isa::strips : least;
        const int channels = (int)round_up(call.channels, kChannelPad);
        int channel = 0;
        for (; channel + most * lanes <= channels; channel += most * lanes) run_strips<most>(call, batch, channel, out);
        for (; channel < channels; channel += kChannelPad) run_strips<least>(call, batch, channel, out);
        out += batch.pixels * call.out_pitch;
        batch.count = batch.pixels = 0;
        return out;
    }

    static void run(const Window* windows, int count, int64_t row_pitch, int64_t pixel_pitch, int stride, int kh, int kw,
                    int channels, const void* packed, const Epilogue* epilogue, uint8_t* out, int64_t out_pitch) {
        const Call call = {row_pitch, pixel_pitch, stride, kh, kw, channels, packed, epilogue, out_pitch};
        Batch batch;
        for (int i = 0; i < count; ++i) {
            const Window& block = windows[i];
            const int together = block.cols < kSumPixels ? kSumPixels / block.cols : 1;
            for (int y = 0; y < block.rows; y += together)
                for (int x = 0; x < block.cols; x += kSumPixels) {
                    const Window part = {block.first + y * stride * row_pitch + x * stride * pixel_pitch,
                                         smaller(together, block.rows - y), smaller(kSumPixels, block.cols - x)};
                    if (batch.pixels + part.rows * part.cols > kSumPixels) out = run_batch(call, batch, out);
                    batch.windows[batch.count++] = part;
                    batch.pixels += part.rows * part.cols;
                }
        }
        run_batch(call, batch, out);
    }
};

}  // namespace tiles
