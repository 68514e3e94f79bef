// Products with matrix tiles (AMX). A tile is 16 rows of 64 bytes. One instruction multiplies a tile of 16 pixels, 64
// values each, with a tile of weights, and adds all to a tile of sums: 16 pixels times 16 channels.
//
// A panel is [n][k, a multiple of 64]; what lies behind the k values of a pixel has zero weights. Packed weights, 16
// channels after 16 channels:  int32 offsets [16], then weights [padded k / 4][16][4], that is, tile after tile.
//
// Some compilers do not know which memory the instructions that load tiles read. So none of it is written here: the
// settings of the tiles are constants, and panels and weights come from other functions.
#pragma once

#include "../avx512_vnni/isa.h"
#include "../generic/product.h"

namespace tiles {

// How the instruction that sets the tiles up wants it.
struct alignas(64) TileSettings {
    uint8_t palette, first_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

// For 1 ... 16 pixels a tile. Tiles 0 ... 3 have sums, 4 and 5 pixels, 6 and 7 weights.
struct TileSettingsTable {
    TileSettings of[16];
};
constexpr TileSettingsTable make_settings() {
    TileSettingsTable table = {};
    for (int pixels = 1; pixels <= 16; ++pixels) {
        TileSettings& settings = table.of[pixels - 1];
        settings.palette = 1;
        for (int tile = 0; tile < 8; ++tile) {
            settings.row_bytes[tile] = 64;
            settings.rows[tile] = (uint8_t)(tile < 6 ? pixels : 16);
        }
    }
    return table;
}
constexpr TileSettingsTable kTileSettings = make_settings();

struct TileProduct {
    static constexpr int kRows = 16, kLanes = 16, kDepth = 64, kTileBytes = 1024;
    static constexpr int kSums = 2 * kRows;  // pixels whose sums are kept at a time

    static int64_t depth(int k) { return round_up(k, kDepth); }

    // Half of the first-level cache for the panel, but two tiles at least.
    static int32_t panel_pixels(int k) {
        const int64_t fit = 24576 / depth(k) / kSums * kSums;
        return fit < kSums ? kSums : fit > 2 * kSums ? 2 * kSums : (int32_t)fit;
    }

    static int64_t panel_bytes(int pixels, int k) { return pixels * depth(k) + kReadSlack; }

    // What a call costs, in cycles, against vpdpbusd, which multiplies 128 values a cycle: 200 for the settings of the
    // tiles, and for each tile of sums 16 a product of 64 values, and 32 until it begins, ends and is stored.
    static bool supports(Operation operation, int k, int channels, int pixels) {
        if (operation != kProduct) return false;
        const int64_t n = smaller(pixels, panel_pixels(k));
        const int64_t sums = (n + kRows - 1) / kRows * ((channels + kLanes - 1) / kLanes);
        return 200 + sums * (depth(k) / kDepth * 16 + 32) < n * k * channels / 128;
    }

    static void gather(const uint8_t* const* pixels, int n, const int32_t* run_offset, int runs, int run_length,
                       void* panel) {
        Product<Avx512Vnni>::gather_rows(pixels, n, run_offset, runs, run_length, panel, depth(runs * run_length));
    }

    static int64_t strip_bytes(int k) { return kLanes * (int64_t)sizeof(int32_t) + depth(k) * kLanes; }

    static int64_t packed_bytes(int channels, int k) { return (channels + kLanes - 1) / kLanes * strip_bytes(k); }

    static void pack(const int8_t* weights, const int32_t* offset, int channels, int k, void* packed) {
        __builtin_memset(packed, 0, packed_bytes(channels, k));
        for (int channel = 0; channel < channels; ++channel) {
            uint8_t* strip = (uint8_t*)packed + channel / kLanes * strip_bytes(k);
            const int lane = channel % kLanes;
            store((int32_t*)strip + lane, offset[channel]);
            int8_t* to = (int8_t*)strip + kLanes * sizeof(int32_t);
            for (int j = 0; j < k; ++j) to[(j / 4 * kLanes + lane) * 4 + j % 4] = weights[(int64_t)channel * k + j];
        }
    }

    // Sums of `blocks` times 16 pixels and `strips` times 16 channels, all in tiles. The second 16 pixels are `second`
    // pixels behind the first ones: if that is less than 16, some are computed twice.
    template <int blocks, int strips>
    TILES_INLINE void add_up(const uint8_t* pixels, int64_t pitch, int second, const uint8_t* strip, int64_t strip_size,
                             int32_t* sums) {
        constexpr int row = strips * kLanes;
        // Every row begins with the offsets.
        _tile_loadd(0, strip, 0);
        if constexpr (strips > 1) _tile_loadd(1, strip + strip_size, 0);
        if constexpr (blocks > 1) _tile_loadd(2, strip, 0);
        if constexpr (blocks > 1 && strips > 1) _tile_loadd(3, strip + strip_size, 0);
        const uint8_t* weights = strip + kLanes * sizeof(int32_t);
        for (int64_t j = 0; j < pitch; j += kDepth, weights += kTileBytes) {
            _tile_loadd(4, pixels + j, pitch);
            _tile_loadd(6, weights, kDepth);
            _tile_dpbusd(0, 4, 6);
            if constexpr (strips > 1) {
                _tile_loadd(7, weights + strip_size, kDepth);
                _tile_dpbusd(1, 4, 7);
            }
            if constexpr (blocks > 1) {
                _tile_loadd(5, pixels + second * pitch + j, pitch);
                _tile_dpbusd(2, 5, 6);
                if constexpr (strips > 1) _tile_dpbusd(3, 5, 7);
            }
        }
        constexpr int row_bytes = row * (int)sizeof(int32_t);
        _tile_stored(0, sums, row_bytes);
        if constexpr (strips > 1) _tile_stored(1, sums + kLanes, row_bytes);
        if constexpr (blocks > 1) _tile_stored(2, sums + second * row, row_bytes);
        if constexpr (blocks > 1 && strips > 1) _tile_stored(3, sums + second * row + kLanes, row_bytes);
    }

    template <int strips, class Output>
    static void multiply_strips(const uint8_t* panel, int n, int k, const uint8_t* strip, int channel,
                                const Epilogue& epilogue, Output* out, int64_t out_pitch) {
        alignas(kAlignment) int32_t sums[kSums * strips * kLanes];
        const int64_t pitch = depth(k), size = strip_bytes(k);
        const int rows = smaller(n, kRows);
        for (int first = 0; first < n; first += kSums) {
            const int count = smaller(n - first, kSums);
            // Tiles have as many rows as before: those that are too many repeat pixels before `first`.
            const int repeated = count < rows ? rows - count : 0;
            const uint8_t* pixels = panel + (first - repeated) * pitch;
            if (count > kRows)
                add_up<2, strips>(pixels, pitch, count - kRows, strip, size, sums);
            else
                add_up<1, strips>(pixels, pitch, 0, strip, size, sums);
            finish<Avx512Vnni, strips>(sums + repeated * strips * kLanes, count, epilogue, channel,
                                       out + first * out_pitch + channel, out_pitch);
        }
    }

    template <class Output>
    static void multiply(const void* panel, int n, int k, const void* packed, int channels, const Epilogue* epilogue,
                         Output* out, int64_t out_pitch) {
        _tile_loadconfig(&kTileSettings.of[smaller(n, kRows) - 1]);
        const uint8_t* strip = (const uint8_t*)packed;
        int channel = 0;
        for (; channels - channel > kLanes; channel += 2 * kLanes, strip += 2 * strip_bytes(k))
            multiply_strips<2>((const uint8_t*)panel, n, k, strip, channel, *epilogue, out, out_pitch);
        if (channel < channels)
            multiply_strips<1>((const uint8_t*)panel, n, k, strip, channel, *epilogue, out, out_pitch);
        // A thread whose tiles are in use is slower to switch.
        _tile_release();
    }
};

}  // namespace tiles
