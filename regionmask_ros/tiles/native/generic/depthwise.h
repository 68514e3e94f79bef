// Depthwise convolution:  sum[p][c] = offset[c] + sum over y, x of weights[c][y][x] * window[y][p * stride + x][c].
//
// Channels are taken in strips of one vector. `group` neighboring rows of a column are interleaved and multiplied at once;
// rows that are missing in the last group have zero weights.
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
        return (channels + lanes - 1) / lanes * strip_bytes(kh, kw) + kReadSlack;
    }

    static void pack(const int8_t* weights, const int32_t* offset, int channels, int kh, int kw, void* packed) {
        for (int first = 0; first < channels; first += lanes) {
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

    static void run(const uint8_t* window, int64_t row_pitch, int64_t pixel_pitch, int stride, int kh, int kw, int n,
                    int channels, const void* packed, const Epilogue* epilogue, uint8_t* out, int64_t out_pitch) {
        alignas(kAlignment) int32_t sums[kSumPixels * lanes];
        for (int channel = 0; channel < channels; channel += lanes) {
            const int32_t* offset = (const int32_t*)((const char*)packed + channel / lanes * strip_bytes(kh, kw));
            const Weight* weights = (const Weight*)(offset + lanes);
            for (int first = 0; first < n; first += kSumPixels) {
                const int count = smaller(n - first, kSumPixels);
                for (int p = 0; p < count; ++p) {
                    const uint8_t* corner = window + (first + p) * stride * pixel_pitch + channel;
                    store(sums + p * lanes, add_up(corner, row_pitch, pixel_pitch, kh, kw, offset, weights));
                }
                finish<Isa, 1>(sums, count, *epilogue, channel, out + first * out_pitch + channel, out_pitch);
            }
        }
    }

    TILES_INLINE Int add_up(const uint8_t* corner, int64_t row_pitch, int64_t pixel_pitch, int kh, int kw,
                            const int32_t* offset, const Weight* weights) {
        Int sum = load<Int>(offset);
        for (int x = 0; x < kw; ++x)
            for (int y = 0; y < kh; y += group, weights += lanes * group) {
                const auto rows = Isa::interleave(corner + x * pixel_pitch + y * row_pitch, row_pitch, kh - y);
                sum = Isa::dot(sum, rows, load<Weights>(weights));
            }
        return sum;
    }
};

}  // namespace tiles
