// What the run loop reads: a plan that Python makes once for a network and an input size (plan.py has the same structures,
// member by member), and the memory of one camera, the arena, in which the plan's offsets point.
//
// A tile map has a byte a tile, 0 or 1, and kMapMargin zeros at least on both sides of each row, so that maps can be
// shifted without tests.
#pragma once

#include "kernels.h"

namespace tiles {

constexpr int64_t kMapMargin = 8;

struct Tensor {
    int64_t pixels;                        // offset of pixel (0, 0)
    int64_t row_pitch, pixel_pitch;        // bytes
    int64_t height, width;                 // pixels
    int64_t channels, pixel_bytes;         // pixel_bytes: 4 a channel if it is float32
    int64_t side, rows, cols;              // pixels along a side of a tile; tiles, of the image: sections
    int64_t map_pitch;                     // bytes between rows of its maps
    int64_t dirty, pending, weak;          // offsets of its maps
    int64_t grid;                          // which of the plan's grids has its attended tiles
    bool is_head() const { return pixel_bytes != channels; }
};

// Which tiles of the tensors of one size are attended.
struct Grid {
    int64_t rows, cols, map_pitch;
    int64_t attended, unattended;          // offsets of maps
    const int32_t *region_rows, *region_cols;  // [tiles][2]: the first region that a tile lies on, and the one after the last
};

// What a node reads.
struct Edge {
    int64_t tensor;
    const int32_t *tile_rows, *tile_cols;  // [output tiles][2]: the first input tile that a tile reads, and the one after
                                           // the last
    // tile_rows[i] is i - above to i + below and tile_cols[i] is i - before to i + after, inside of a map of the same
    // size; -1: they are not.
    int64_t above, below, before, after;
    bool is_shifted() const { return above >= 0; }
    bool is_identity() const { return (above | below | before | after) == 0; }
};

// A run of bytes of an input's pixel that is copied.
struct Part {
    int64_t edge, from, to, bytes;
};

struct Node {
    int64_t operation;
    const KernelSet* kernels;              // that support it
    int64_t is_compared;                   // 0: what is due is replaced
    const Edge* edges;
    int64_t edge_count;
    int64_t kernel_rows, kernel_cols, stride, top, left;  // stride: also the factor of an enlargement
    int64_t block_pixels;                  // computed at once; at least those of a tile
    int64_t scratch_pitch;                 // values between pixels in scratch memory
    // Convolutions. Channels of a group of the input and of the output, bytes of its packed weights.
    int64_t groups, group_inputs, group_outputs, group_bytes;
    const void* packed;
    int64_t k, runs, run_length;
    const int32_t* run_offset;
    Epilogue epilogue;
    const float *factor_a, *factor_b, *zero_a, *zero_b;   // of kAdd and kMultiply
    const uint8_t* padding;                // of kAveragePool
    int64_t counts_padding;
    const Part* parts;                     // of kCopy
    int64_t part_count;
    const int32_t* order;                  // kGather: channels; kBlocks: row and column of each group of channels
};

struct Plan {
    const KernelSet* kernels;              // for the image
    const Tensor* tensors;                 // of the input, then of every node
    const Node* nodes;
    int64_t node_count;
    const Grid* grids;
    int64_t grid_count;
    int64_t region_rows, region_cols;
    // Sections of the image, which its map `dirty` has instead of tiles: their first rows of pixels, and the height; the same
    // of columns; and sections along the sides of a tile.
    const int32_t *section_rows, *section_cols;
    int64_t tile_section_rows, tile_section_cols;
    // Offsets in the arena.
    int64_t flags;                         // Flags of every tensor
    int64_t regions;                       // the attended regions of the last frame
    int64_t reached, merged;               // maps, large enough for any tensor
    int64_t sums;                          // of differences of the image, one for two bytes of a row
    int64_t addresses, panel, scratch;     // memory of one block of pixels
};

// What is known of a tensor without a look at its maps. A map whose flag is 0 may hold anything if it is `dirty`, and
// holds zeros otherwise. Dense frames write no map that is `dirty`.
struct Flags {
    int64_t dirty, pending, weak;
    int64_t touched;                       // the caller has written to the tensor
    double threshold;                      // of the last frame
};

struct Frame {
    const uint8_t* image;                  // nullptr: as it was
    int64_t image_pitch;                   // bytes between rows
    const uint8_t* attended;               // [region_rows][region_cols]; nullptr: everything
    const double* thresholds;              // [nodes]
    double input_threshold;
    int64_t is_dense;                      // compute and replace everything
    int64_t dense_pixels;                  // so many replaced pixels of an image that is attended as a whole do it, too
    int64_t* change;                       // [region_rows][region_cols]: sums of squared differences of the image
    int64_t* counts;                       // [1 + nodes][4]: tiles and pixels computed, tiles and pixels replaced
    double* squares;                       // room for [region_rows][region_cols]
    double quiet_square;                   // written: as StepOutput of frame.py says
    int64_t replaced_heads;                // written: their tiles
};

}  // namespace tiles
