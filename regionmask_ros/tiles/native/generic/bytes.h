// Rows of bytes: how much they differ, and copies.
#pragma once

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

    // The sum of (a - b)^2. A lane gets at most 2 * 255^2 a step, so that it has room for 2^14 steps.
    static uint64_t change(const uint8_t* a, int64_t a_pitch, const uint8_t* b, int64_t b_pitch, int n, int bytes) {
        uint64_t total = 0;
        Int sums = {};
        int room = 1 << 14;
        for (int row = 0; row < n; ++row, a += a_pitch, b += b_pitch)
            for (int i = 0; i < bytes; i += step) {
                sums += bytes - i >= step ? Isa::squares(a + i, b + i) : squares_of_end(a + i, b + i, bytes - i);
                if (--room == 0) {
                    total += add_lanes(sums);
                    sums = Int{};
                    room = 1 << 14;
                }
            }
        return total + add_lanes(sums);
    }

    static Int squares_of_end(const uint8_t* a, const uint8_t* b, int bytes) {
        uint8_t end_of_a[step] = {}, end_of_b[step] = {};
        copy_row(a, end_of_a, bytes);
        copy_row(b, end_of_b, bytes);
        return Isa::squares(end_of_a, end_of_b);
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
