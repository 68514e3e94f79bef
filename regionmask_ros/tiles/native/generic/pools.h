// Pools. The compiler makes vectors of these loops over channels.
#pragma once

#include "../kernels.h"
#include "vectors.h"

namespace tiles {

// Channels of which sums are kept at a time.
constexpr int kPoolChannels = 64;
// Columns of which the largest values are kept at a time.
constexpr int kPoolColumns = 128;

template <class Isa>
struct Pools {
    typedef uint8_t Block __attribute__((vector_size(kChannelPad)));
    TILES_INLINE Block larger(Block a, Block b) { return a > b ? a : b; }

    TILES_INLINE Block max_of_column(const uint8_t* top, int64_t row_pitch, int rows, Block largest) {
        for (int y = 0; y < rows; ++y) largest = larger(largest, load<Block>(top + y * row_pitch));
        return largest;
    }

    //   q[p][c] = max over y < rows and those columns p * stride + left + x, x < kw, that the image has
    static void max(const uint8_t* row, int64_t row_pitch, int64_t pixel_pitch, int rows, int width, int left, int stride,
                    int kw, int n, int channels, uint8_t* out, int64_t out_pitch) {
        const int together = kw > kPoolColumns ? 1 : (kPoolColumns - kw) / stride + 1;
        for (; n > 0; n -= together, left += together * stride, out += together * out_pitch)
            for (int c = 0; c < channels; c += kChannelPad) {
                if (n == 1 || together == 1)
                    max_of_window(row + c, row_pitch, pixel_pitch, rows, width, left, kw, out + c);
                else
                    max_of_columns(row + c, row_pitch, pixel_pitch, rows, width, left, stride, kw, smaller(n, together),
                                   out + c, out_pitch);
            }
    }

    static void max_of_window(const uint8_t* row, int64_t row_pitch, int64_t pixel_pitch, int rows, int width, int left,
                              int kw, uint8_t* out) {
        Block largest = {};
        const int end = smaller(left + kw, width);
        for (int x = left > 0 ? left : 0; x < end; ++x)
            largest = max_of_column(row + x * pixel_pitch, row_pitch, rows, largest);
        store(out, largest);
    }

    // The largest of each column, 0 beside the image. Then, in place, the largest of 2, 4, ... columns from each one on;
    // two such runs, which may overlap, make a window.
    static void max_of_columns(const uint8_t* row, int64_t row_pitch, int64_t pixel_pitch, int rows, int width, int left,
                               int stride, int kw, int n, uint8_t* out, int64_t out_pitch) {
        Block largest[kPoolColumns];
        int count = (n - 1) * stride + kw, run = 1;
        for (int i = 0; i < count; ++i) {
            const int x = left + i;
            largest[i] = 0 <= x && x < width ? max_of_column(row + x * pixel_pitch, row_pitch, rows, Block{}) : Block{};
        }
        for (; 2 * run <= kw; run *= 2) {
            count -= run;
            for (int i = 0; i < count; ++i) largest[i] = larger(largest[i], largest[i + run]);
        }
        for (int p = 0; p < n; ++p)
            store(out + p * out_pitch, larger(largest[p * stride], largest[p * stride + kw - run]));
    }

    //   q[c] = (2 * (sum of the window + padded * zero[c]) + count) / (2 * count)
    static void average(const uint8_t* window, int64_t row_pitch, int64_t pixel_pitch, int rows, int cols, int channels,
                        int padded, const uint8_t* zero, int count, uint8_t* out) {
        for (int first = 0; first < channels; first += kPoolChannels) {
            const int width = smaller(channels - first, kPoolChannels);
            uint32_t sum[kPoolChannels];
            for (int c = 0; c < width; ++c) sum[c] = (uint32_t)padded * zero[first + c];
            for (int y = 0; y < rows; ++y)
                for (int x = 0; x < cols; ++x) {
                    const uint8_t* from = window + y * row_pitch + x * pixel_pitch + first;
                    for (int c = 0; c < width; ++c) sum[c] += from[c];
                }
            for (int c = 0; c < width; ++c) out[first + c] = (uint8_t)((2 * sum[c] + count) / (2 * (uint32_t)count));
        }
    }
};

}  // namespace tiles
