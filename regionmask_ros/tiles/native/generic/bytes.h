// Rows of bytes: how much they differ, and copies.
#pragma once

#include "../kernels.h"
#include "vectors.h"

namespace tiles {

template <class Isa>
struct Bytes {
    using Int = typename Isa::Int;
    static constexpr int step = 2 * Isa::lanes;  // bytes that Isa::squares takes

    static uint64_t add_lanes(Int sums) {
        uint64_t total = 0;
        for (int lane = 0; lane < Isa::lanes; ++lane) total += (uint32_t)sums[lane];
        return total;
    }

    static void add_squares(const uint8_t* a, const uint8_t* b, int bytes, uint32_t* sums) {
        static_assert(step <= 16 || step == 32, "halves of a vector are sums of 16 bytes each, in order");
        int i = 0;
        for (; i + step <= bytes; i += step) store(sums + i / 2, load<Int>(sums + i / 2) + Isa::squares(a + i, b + i));
        if (i < bytes)
            store(sums + i / 2, load<Int>(sums + i / 2) + Isa::squares_of_part(a + i, b + i, bytes - i));
    }

    // Values whose squares, of 255^2 at most, surely fit 32 bits in all.
    static constexpr int kSummed = (int)(UINT32_MAX / (255 * 255));

    // The sum of squares of a run of bytes: of `steps` vectors, or of any number of bytes if it is 0.
    template <int steps>
    TILES_INLINE Int squares_of_run(const uint8_t* a, const uint8_t* b, int bytes) {
        Int sums = {};
        if constexpr (steps > 0) {
            for (int i = 0; i < steps; ++i) sums += Isa::squares(a + i * step, b + i * step);
        } else {
            int i = 0;
            for (; i + step <= bytes; i += step) sums += Isa::squares(a + i, b + i);
            if (i < bytes) sums += Isa::squares_of_part(a + i, b + i, bytes - i);
        }
        return sums;
    }

    // The sum of squares of a tile.
    template <int steps>
    TILES_INLINE uint64_t compare(const Tiles& tiles, const uint8_t* computed, const uint8_t* held, int cols, int bytes) {
        const bool is_summed = tiles.rows * cols * bytes <= kSummed;
        uint64_t total = 0;
        Int sums = {};
        for (int row = 0; row < tiles.rows; ++row, computed += tiles.computed_row, held += tiles.held_row) {
            const uint8_t *a = computed, *b = held;
            for (int col = 0; col < cols; ++col, a += tiles.computed_pixel, b += tiles.held_pixel)
                sums += squares_of_run<steps>(a, b, bytes);
            if (is_summed) continue;
            total += add_lanes(sums);
            sums = Int{};
        }
        return total + Isa::total(sums);
    }

    template <int steps>
    TILES_INLINE void copy_tile(const Tiles& tiles, const uint8_t* computed, uint8_t* held, int cols, int bytes) {
        for (int row = 0; row < tiles.rows; ++row, computed += tiles.computed_row, held += tiles.held_row) {
            if constexpr (steps > 0) {
                const uint8_t* from = computed;
                uint8_t* to = held;
                for (int col = 0; col < cols; ++col, from += tiles.computed_pixel, to += tiles.held_pixel)
                    __builtin_memcpy(to, from, steps * step);
            } else {
                copy(computed, tiles.computed_pixel, held, tiles.held_pixel, cols, bytes);
            }
        }
    }

    // Tiles that are compared before any is replaced: what is decided then is known, and the processor need not guess.
    static constexpr int kTogether = 16;

    template <int steps>
    static Replaced replace_tiles(const Tiles& tiles, int cols, int bytes) {
        const int64_t next = tiles.cols * tiles.computed_pixel, next_held = tiles.cols * tiles.held_pixel;
        Replaced count = {};
        for (int first = 0; first < tiles.tiles; first += kTogether) {
            const int together = smaller(kTogether, tiles.tiles - first);
            const uint8_t* computed = tiles.computed + first * next;
            uint8_t* held = tiles.held + first * next_held;
            uint64_t change[kTogether];
            for (int i = 0; i < together; ++i)
                change[i] = compare<steps>(tiles, computed + i * next, held + i * next_held, cols, bytes);
            for (int i = 0; i < together; ++i) {
                const bool is_replaced = change[i] >= tiles.limit, is_weak = change[i] > 0 && !is_replaced;
                tiles.replaced[first + i] = is_replaced;
                tiles.weak[first + i] = is_weak;
                count.replaced += is_replaced;
                count.weak += is_weak;
                if (is_replaced) copy_tile<steps>(tiles, computed + i * next, held + i * next_held, cols, bytes);
            }
        }
        return count;
    }

    // Runs of bytes as long as those of most networks have loops of a fixed length.
    static Replaced replace(const Tiles& tiles) {
        const bool is_run = tiles.computed_pixel == tiles.bytes && tiles.held_pixel == tiles.bytes;
        const int cols = is_run ? 1 : tiles.cols, bytes = is_run ? tiles.cols * tiles.bytes : tiles.bytes;
        switch (bytes) {
            case 1 * step: return replace_tiles<1>(tiles, cols, bytes);
            case 2 * step: return replace_tiles<2>(tiles, cols, bytes);
            case 4 * step: return replace_tiles<4>(tiles, cols, bytes);
            case 8 * step: return replace_tiles<8>(tiles, cols, bytes);
            default: return replace_tiles<0>(tiles, cols, bytes);
        }
    }

    // Two copies of a fixed size, which may overlap, take the place of one of any size.
    TILES_INLINE void copy_row(const uint8_t* from, uint8_t* to, int bytes) {
        if (bytes >= 16) {
            for (int i = 0; i + 16 <= bytes; i += 16) __builtin_memcpy(to + i, from + i, 16);
            __builtin_memcpy(to + bytes - 16, from + bytes - 16, 16);
        } else if (bytes >= 8) {
            __builtin_memcpy(to, from, 8);
            __builtin_memcpy(to + bytes - 8, from + bytes - 8, 8);
        } else if (bytes >= 4) {
            __builtin_memcpy(to, from, 4);
            __builtin_memcpy(to + bytes - 4, from + bytes - 4, 4);
        } else {
            for (int i = 0; i < bytes; ++i) to[i] = from[i];
        }
    }

    static void copy(const uint8_t* from, int64_t from_pitch, uint8_t* to, int64_t to_pitch, int n, int bytes) {
        for (int row = 0; row < n; ++row) copy_row(from + row * from_pitch, to + row * to_pitch, bytes);
    }
};

}  // namespace tiles
