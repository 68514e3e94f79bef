// Due tiles as pieces, and what happens to a piece that was computed: compare with what is held, replace, mark.
//
// A piece is a run of neighboring tiles of one row of tiles. Its results lie in scratch memory, row after row.
#pragma once

#include <cmath>
#include <cstring>

#include "plan.h"

namespace tiles {

struct Piece {
    int64_t tile_row, tile_col, tile_end;  // tiles
    int64_t y, x, rows, cols;              // pixels
    int64_t pixels() const { return rows * cols; }
};

inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

inline Piece make_piece(const Tensor& tensor, int64_t row, int64_t first, int64_t end) {
    const int64_t y = row * tensor.side, x = first * tensor.side;
    return {row, first, end, y, x, lesser(tensor.side, tensor.height - y), lesser(end * tensor.side, tensor.width) - x};
}

// Calls `visit` for pieces of at most `pixels` pixels, but of one tile at least, that cover the tiles of a map.
template <class Visit>
void visit_pieces(const Tensor& tensor, const uint8_t* due, int64_t pixels, Visit visit) {
    const int64_t most = pixels / (tensor.side * tensor.side) > 1 ? pixels / (tensor.side * tensor.side) : 1;
    for (int64_t row = 0; row < tensor.rows; ++row) {
        const uint8_t* tile = due + row * tensor.map_pitch;
        const uint8_t* last = tile + tensor.cols;
        const uint8_t* first = tile;
        while ((first = (const uint8_t*)memchr(first, 1, last - first))) {
            const uint8_t* end = first + 1;
            while (end < last && *end && end - first < most) ++end;
            visit(make_piece(tensor, row, first - tile, end - tile));
            first = end;
        }
    }
}

constexpr int64_t kLine = 64;  // bytes

// One tensor's part of a frame.
struct Output {
    const Tensor& tensor;
    const KernelSet& kernels;
    uint8_t* pixels;                       // of the tensor
    uint8_t *dirty, *weak;                 // maps; `dirty` holds what is due until a tile is found to be unchanged
    bool is_dense, is_compared, is_float;
    double threshold;
    Flags& flags;
    int64_t* counts;                       // tiles and pixels computed, tiles and pixels replaced
    int64_t tile_limit = 1;                // of a tile that no border cuts

    // From which sum of squared differences on.
    int64_t compute_limit(int64_t tile_pixels) const {
        const int64_t least = (int64_t)ceil(threshold * threshold * (double)(tile_pixels * tensor.channels));
        return least > 1 ? least : 1;
    }
    int64_t limit(int64_t tile_pixels) const {
        return tile_pixels == tensor.side * tensor.side ? tile_limit : compute_limit(tile_pixels);
    }

    uint8_t* at(int64_t y, int64_t x) const { return pixels + y * tensor.row_pitch + x * tensor.pixel_pitch; }
    Pixels held(const Piece& piece) const { return {at(piece.y, piece.x), tensor.row_pitch, tensor.pixel_pitch}; }

    // Where everything is replaced, kernels may write to held memory, unless they would write over other channels.
    bool is_direct() const { return is_dense && !is_float && tensor.channels % kChannelPad == 0; }

    void count_all() const {
        count_computed(tensor.rows * tensor.cols, tensor.height * tensor.width);
        count_replaced(tensor.rows * tensor.cols, tensor.height * tensor.width);
    }
    void count_computed(int64_t tiles, int64_t tile_pixels) const {
        counts[0] += tiles;
        counts[1] += tile_pixels;
    }
    void count_replaced(int64_t tiles, int64_t tile_pixels) const {
        counts[2] += tiles;
        counts[3] += tile_pixels;
    }
    void count_replaced(const Piece& piece) const { count_replaced(piece.tile_end - piece.tile_col, piece.pixels()); }

    // Lists the lines of what a piece will be compared with, which is seldom in the caches.
    void list_held(const Piece& piece, Ahead& ahead) const {
        for (int64_t y = 0; y < piece.rows; ++y) {
            const uint8_t* held = at(piece.y + y, piece.x);
            const uint8_t* end = held + (piece.cols - 1) * tensor.pixel_pitch + tensor.pixel_bytes;
            for (held -= (uintptr_t)held % kLine; held < end && ahead.count < Ahead::kMost; held += kLine)
                ahead.lines[ahead.count++] = held;
        }
    }

    void copy(const uint8_t* from, int64_t row_pitch, int64_t pixel_pitch, uint8_t* held, int64_t rows,
              int64_t cols) const {
        const int64_t bytes = tensor.pixel_bytes;
        if (cols == 1) return kernels.copy(from, row_pitch, held, tensor.row_pitch, rows, bytes);
        if (pixel_pitch == bytes && tensor.pixel_pitch == bytes)
            return kernels.copy(from, row_pitch, held, tensor.row_pitch, rows, cols * bytes);
        for (int64_t y = 0; y < rows; ++y)
            kernels.copy(from + y * row_pitch, pixel_pitch, held + y * tensor.row_pitch, tensor.pixel_pitch, cols, bytes);
    }

    // Replaces the tiles of a piece that changed enough. `pixel_pitch` is in bytes.
    void finish(const Piece& piece, const uint8_t* from, int64_t pixel_pitch) const {
        const int64_t row_pitch = piece.cols * pixel_pitch;
        if (!is_compared) {
            copy(from, row_pitch, pixel_pitch, at(piece.y, piece.x), piece.rows, piece.cols);
            return count_replaced(piece);
        }
        // The border of the tensor may cut the last tile.
        const int64_t whole = piece.cols / tensor.side, rest = piece.cols % tensor.side;
        if (whole) replace(piece, from, pixel_pitch, 0, whole, tensor.side);
        if (rest) replace(piece, from, pixel_pitch, whole, 1, rest);
    }

    // Of tiles of `cols` pixels, from the tile number `first` of a piece on.
    void replace(const Piece& piece, const uint8_t* from, int64_t pixel_pitch, int64_t first, int64_t tiles,
                 int64_t cols) const {
        const int64_t x = first * tensor.side, tile = piece.tile_row * tensor.map_pitch + piece.tile_col + first;
        const Replaced count = kernels.replace({
            from + x * pixel_pitch, piece.cols * pixel_pitch, pixel_pitch, at(piece.y, piece.x + x), tensor.row_pitch,
            tensor.pixel_pitch, (int32_t)tiles, (int32_t)piece.rows, (int32_t)cols, (int32_t)tensor.pixel_bytes,
            (uint64_t)limit(piece.rows * cols), dirty + tile, weak + tile});
        count_replaced(count.replaced, count.replaced * piece.rows * cols);
        flags.weak |= count.weak > 0;
    }
};

}  // namespace tiles
