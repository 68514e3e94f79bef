// Pools of one output pixel. The compiler makes vectors of these loops over channels.
#pragma once

#include "../kernels.h"
#include "vectors.h"

namespace tiles {

// Channels of which sums are kept at a time.
constexpr int kPoolChannels = 64;

template <class Isa>
struct Pools {
    //   q[c] = max over the window
    static void max(const uint8_t* window, int64_t row_pitch, int64_t pixel_pitch, int rows, int cols, int channels,
                    uint8_t* out) {
        for (int first = 0; first < channels; first += kChannelPad) {
            uint8_t largest[kChannelPad] = {};
            for (int y = 0; y < rows; ++y)
                for (int x = 0; x < cols; ++x) {
                    const uint8_t* from = window + y * row_pitch + x * pixel_pitch + first;
                    for (int c = 0; c < kChannelPad; ++c) largest[c] = from[c] > largest[c] ? from[c] : largest[c];
                }
            __builtin_memcpy(out + first, largest, kChannelPad);
        }
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
