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
            store(sums + i / 2, load<Int>(sums + i / 2) + squares_of_end(a + i, b + i, bytes - i));
    }

    static Int squares_of_end(const uint8_t* a, const uint8_t* b, int bytes) {
        uint8_t end_of_a[step] = {}, end_of_b[step] = {};
        __builtin_memcpy(end_of_a, a, bytes);
        __builtin_memcpy(end_of_b, b, bytes);
        return Isa::squares(end_of_a, end_of_b);
    }

    // Of a run whose end may be read beyond: bytes that do not count become equal.
    TILES_INLINE Int squares_of_masked(const uint8_t* a, const uint8_t* b, int bytes) {
        typedef uint8_t Block __attribute__((vector_size(16)));
        alignas(step) static constexpr auto masks = make_masks();
        uint8_t end_of_a[step], end_of_b[step];
        for (int i = 0; i < step; i += 16) {
            const Block mask = load<Block>(masks.bytes + step - bytes + i);
            store(end_of_a + i, load<Block>(a + i) & mask);
            store(end_of_b + i, load<Block>(b + i) & mask);
        }
        return Isa::squares(end_of_a, end_of_b);
    }

    struct Masks {
        uint8_t bytes[2 * step];
    };
    static constexpr Masks make_masks() {
        Masks masks{};
        for (int i = 0; i < step; ++i) masks.bytes[i] = 255;
        return masks;
    }

    // Values whose squares, of 255^2 at most, surely fit 32 bits in all.
    static constexpr int kSummed = (int)(UINT32_MAX / (255 * 255));
    // Bytes after which it is worth asking whether the limit is reached: adding up the lanes takes as long as some rows.
    static constexpr int kAsked = 512;

    // The sum of squares of a tile, at least up to the limit: whole tiles are compared only if they differ little.
    template <bool is_whole>
    TILES_INLINE uint64_t compare(const Tiles& tiles, const uint8_t* computed, const uint8_t* held, int cols, int bytes) {
        const int values = cols * bytes, together = values < kAsked ? kAsked / values : 1;
        uint64_t total = 0;
        for (int row = 0; row < tiles.rows && total < tiles.limit;) {
            Int sums = {};
            for (const int end = smaller(row + together, tiles.rows); row < end; ++row) {
                const uint8_t *a = computed, *b = held;
                for (int col = 0; col < cols; ++col, a += tiles.computed_pixel, b += tiles.held_pixel) {
                    int i = 0;
                    for (; i + step <= bytes; i += step) sums += Isa::squares(a + i, b + i);
                    if constexpr (!is_whole) sums += squares_of_masked(a + i, b + i, bytes - i);
                }
                computed += tiles.computed_row;
                held += tiles.held_row;
            }
            total += values <= kSummed ? Isa::total(sums) : add_lanes(sums);
        }
        return total;
    }

    // Tiles that are compared before any is replaced: what is decided then is known, and the processor need not guess.
    static constexpr int kTogether = 16;

    template <bool is_whole>
    static Replaced replace_tiles(const Tiles& tiles, int cols, int bytes) {
        const int64_t next = tiles.cols * tiles.computed_pixel, next_held = tiles.cols * tiles.held_pixel;
        Replaced count = {};
        for (int first = 0; first < tiles.tiles; first += kTogether) {
            const int together = smaller(kTogether, tiles.tiles - first);
            const uint8_t* computed = tiles.computed + first * next;
            uint8_t* held = tiles.held + first * next_held;
            uint64_t change[kTogether];
            for (int i = 0; i < together; ++i)
                change[i] = compare<is_whole>(tiles, computed + i * next, held + i * next_held, cols, bytes);
            for (int i = 0; i < together; ++i) {
                const bool is_replaced = change[i] >= tiles.limit, is_weak = change[i] > 0 && !is_replaced;
                tiles.replaced[first + i] = is_replaced;
                tiles.weak[first + i] = is_weak;
                count.replaced += is_replaced;
                count.weak += is_weak;
                if (is_replaced)
                    for (int row = 0; row < tiles.rows; ++row)
                        copy(computed + i * next + row * tiles.computed_row, tiles.computed_pixel,
                             held + i * next_held + row * tiles.held_row, tiles.held_pixel, cols, bytes);
            }
        }
        return count;
    }

    static Replaced replace(const Tiles& tiles) {
        const bool is_run = tiles.computed_pixel == tiles.bytes && tiles.held_pixel == tiles.bytes;
        const int cols = is_run ? 1 : tiles.cols, bytes = is_run ? tiles.cols * tiles.bytes : tiles.bytes;
        return bytes % step ? replace_tiles<false>(tiles, cols, bytes) : replace_tiles<true>(tiles, cols, bytes);
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
