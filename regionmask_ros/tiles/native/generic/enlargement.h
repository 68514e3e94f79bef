// Enlargement by a whole factor: each pixel becomes a block of pixels.
#pragma once

#include "bytes.h"

namespace tiles {

template <class Isa>
struct Enlargement {
    static constexpr int kBlock = 64;  // bytes that are copied at once

    TILES_INLINE void copy_pixel(const uint8_t* from, uint8_t* to, int bytes) {
        int i = 0;
        for (; i + kBlock <= bytes; i += kBlock) __builtin_memcpy(to + i, from + i, kBlock);
        if (i < bytes) Bytes<Isa>::copy_row(from + i, to + i, bytes - i);
    }

    static void run(const Pixels& from, int factor, int top, int left, int rows, int cols, int bytes, const Pixels& out) {
        for (int y = 0; y < rows; ++y) {
            const uint8_t* pixel = from.first + (top + y) / factor * from.row_pitch;
            uint8_t* to = out.first + y * out.row_pitch;
            for (int x = 0, copies = left; x < cols; ++x, to += out.pixel_pitch) {
                copy_pixel(pixel, to, bytes);
                if (++copies == factor) {
                    copies = 0;
                    pixel += from.pixel_pitch;
                }
            }
        }
    }
};

}  // namespace tiles
