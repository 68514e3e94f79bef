// Rows of bytes: how much they differ, and copies.
#pragma once

#include "vectors.h"

namespace tiles {

template <class Isa>
struct Bytes {
    // The sum of (a - b)^2. A row of 2^15 bytes at most adds up to less than 2^31.
    static uint64_t change(const uint8_t* a, int64_t a_pitch, const uint8_t* b, int64_t b_pitch, int n, int bytes) {
        constexpr int part = 1 << 15;
        uint64_t total = 0;
        for (int row = 0; row < n; ++row, a += a_pitch, b += b_pitch)
            for (int first = 0; first < bytes; first += part) {
                const int count = smaller(bytes - first, part);
                int32_t sum = 0;
                for (int i = first; i < first + count; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
                total += (uint32_t)sum;
            }
        return total;
    }

    static void copy(const uint8_t* from, int64_t from_pitch, uint8_t* to, int64_t to_pitch, int n, int bytes) {
        for (int row = 0; row < n; ++row) __builtin_memcpy(to + row * to_pitch, from + row * from_pitch, bytes);
    }
};

}  // namespace tiles
