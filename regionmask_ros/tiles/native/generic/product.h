// Convolution as a matrix product:  sum[p][o] = offset[o] + sum over j < k of weights[o][j] * pixel[p][j].
//
// A panel holds n gathered pixels, [n][padded k], as the instruction multiplies them. Channels are taken in strips of one
// vector; `group` neighboring values of a pixel are multiplied at once, each lane adding its `group` products.
// Packed weights, strip after strip:  int32 offsets [lanes], then weights [padded k / group][lanes][group].
#pragma once

#include "epilogue.h"

namespace tiles {

template <class Isa>
struct Product {
    using Int = typename Isa::Int;
    using Panel = typename Isa::Panel;
    using Weight = typename Isa::Weight;
    static constexpr int lanes = Isa::lanes, group = Isa::group;

    static int64_t groups(int k) { return (k + group - 1) / group; }

    // Rows begin at cache lines, as far as that costs little. They have room for a vector that is loaded past their end.
    static int64_t panel_pitch(int k) { return round_up(k, 16); }

    static int64_t panel_bytes(int pixels, int k) {
        return pixels * panel_pitch(k) * (int64_t)sizeof(Panel) + kReadSlack * (int64_t)sizeof(Panel);
    }

    // Half of the first-level cache for the panel; the rest is for weights and sums.
    static int32_t panel_pixels(int k) {
        const int64_t fit = 16384 / (panel_pitch(k) * (int64_t)sizeof(Panel)) / Isa::pixels * Isa::pixels;
        return fit < Isa::pixels ? Isa::pixels : fit > kSumPixels ? kSumPixels : (int32_t)fit;
    }

    static void gather(const uint8_t* const* pixels, int n, const int32_t* run_offset, int runs, int run_length,
                       void* panel) {
        gather_rows(pixels, n, run_offset, runs, run_length, panel, panel_pitch(runs * run_length));
    }

    // The same with rows of the panel that have `pitch` values.
    static void gather_rows(const uint8_t* const* pixels, int n, const int32_t* run_offset, int runs, int run_length,
                            void* panel, int64_t pitch) {
        for (int p = 0; p < n; ++p) {
            Panel* to = (Panel*)panel + p * pitch;
            // Each copy may write past its end: the next one, of the next run or the next pixel, puts that right.
            for (int r = 0; r < runs; ++r, to += run_length) {
                const uint8_t* from = pixels[p] + run_offset[r];
                for (int j = 0; j < run_length; j += Isa::gathered) Isa::gather(from + j, to + j);
            }
        }
    }

    static int64_t strip_bytes(int k) {
        return lanes * (int64_t)sizeof(int32_t) + groups(k) * lanes * group * (int64_t)sizeof(Weight);
    }

    static int64_t packed_bytes(int channels, int k) {
        return (channels + lanes - 1) / lanes * strip_bytes(k) + kReadSlack;
    }

    static void pack(const int8_t* weights, const int32_t* offset, int channels, int k, void* packed) {
        for (int first = 0; first < channels; first += lanes) {
            char* strip = (char*)packed + first / lanes * strip_bytes(k);
            int32_t* sums = (int32_t*)strip;
            Weight* to = (Weight*)(sums + lanes);
            for (int lane = 0; lane < lanes; ++lane) {
                const int channel = first + lane;
                const int8_t* from = weights + (int64_t)channel * k;
                int32_t total = 0;
                for (int j = 0; j < groups(k) * group; ++j) {
                    const int8_t weight = channel < channels && j < k ? from[j] : 0;
                    to[(j / group * lanes + lane) * group + j % group] = weight;
                    total += weight;
                }
                sums[lane] = (channel < channels ? offset[channel] : 0) + total * Isa::panel_shift;
            }
        }
    }

    // Sums of `pixels` pixels and `strips` strips, all in registers.
    template <int pixels, int strips>
    TILES_INLINE void add_up(const Panel* panel, int64_t pitch, int64_t groups, const char* strip, int64_t strip_size,
                             int32_t* sums) {
        Int sum[pixels][strips];
        const Weight* weights[strips];
        for (int s = 0; s < strips; ++s) {
            const int32_t* offset = (const int32_t*)(strip + s * strip_size);
            for (int p = 0; p < pixels; ++p) sum[p][s] = load<Int>(offset);
            weights[s] = (const Weight*)(offset + lanes);
        }
        for (int64_t g = 0; g < groups; ++g) {
            typename Isa::Weights row[strips];
            for (int s = 0; s < strips; ++s) row[s] = load<typename Isa::Weights>(weights[s] + g * lanes * group);
            for (int p = 0; p < pixels; ++p) {
                const auto values = Isa::broadcast(panel + p * pitch + g * group);
                for (int s = 0; s < strips; ++s) sum[p][s] = Isa::dot(sum[p][s], values, row[s]);
            }
        }
        for (int p = 0; p < pixels; ++p)
            for (int s = 0; s < strips; ++s) store(sums + (p * strips + s) * lanes, sum[p][s]);
    }

    template <int pixels, int strips>
    TILES_INLINE void add_up_rest(int n, const Panel* panel, int64_t pitch, int64_t groups, const char* strip,
                                  int64_t strip_size, int32_t* sums) {
        if constexpr (pixels > 0) {
            if (n == pixels) return add_up<pixels, strips>(panel, pitch, groups, strip, strip_size, sums);
            add_up_rest<pixels - 1, strips>(n, panel, pitch, groups, strip, strip_size, sums);
        }
    }

    template <int strips, class Output>
    static void multiply_strips(const Panel* panel, int n, int k, const char* strip, int channel,
                                const Epilogue& epilogue, Output* out, int64_t out_pitch) {
        alignas(kAlignment) int32_t sums[kSumPixels * strips * lanes];
        const int64_t pitch = panel_pitch(k), size = strip_bytes(k);
        for (int first = 0; first < n; first += kSumPixels) {
            const int count = smaller(n - first, kSumPixels);
            int p = 0;
            for (; p + Isa::pixels <= count; p += Isa::pixels)
                add_up<Isa::pixels, strips>(panel + (first + p) * pitch, pitch, groups(k), strip, size,
                                            sums + p * strips * lanes);
            add_up_rest<Isa::pixels - 1, strips>(count - p, panel + (first + p) * pitch, pitch, groups(k), strip,
                                                 size, sums + p * strips * lanes);
            finish<Isa, strips>(sums, count, epilogue, channel, out + first * out_pitch + channel, out_pitch);
        }
    }

    template <class Output>
    static void multiply(const void* panel, int n, int k, const void* packed, int channels, const Epilogue* epilogue,
                         Output* out, int64_t out_pitch) {
        const char* strip = (const char*)packed;
        int channel = 0;
        for (; channels - channel > lanes * (Isa::strips - 1); channel += lanes * Isa::strips) {
            multiply_strips<Isa::strips>((const Panel*)panel, n, k, strip, channel, *epilogue, out, out_pitch);
            strip += Isa::strips * strip_bytes(k);
        }
        for (; channel < channels; channel += lanes) {
            multiply_strips<1>((const Panel*)panel, n, k, strip, channel, *epilogue, out, out_pitch);
            strip += strip_bytes(k);
        }
    }
};

}  // namespace tiles
