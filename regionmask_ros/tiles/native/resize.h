// What the resize reads; partial_resize.py makes it once for the sizes of a camera's image and of the network's input.
#pragma once

#include <cstdint>

namespace tiles {

struct Resize {
    int64_t from_pitch;              // bytes between rows of the image
    int64_t width, height;           // of the input
    const int32_t* column;           // [width]: byte of the left one of two pixels in a row of the image
    const int16_t* column_weight;    // [width][2]
    const int32_t* rows;             // [height][2]: rows of the image
    const int16_t* row_weight;       // [height][2]
    int64_t wide_columns;            // so many columns, from the left, may read 8 bytes of a row
    int64_t is_swapped;              // whether the first and the last channel change places
    int64_t block;                   // values, of pixels' channels, that one instruction makes; 0: pixel by pixel
    const int32_t* block_byte;       // [blocks]: first byte of what a block reads of a row, 4 bytes a value
    const uint8_t* block_index;      // [values][4]: left byte, 255, right byte, 255, counted from there
    const int16_t* block_weight;     // [values][2]
    int16_t* scratch;                // room for two rows
    int64_t scratch_pitch;           // values between them
};

}  // namespace tiles
