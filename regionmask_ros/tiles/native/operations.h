// The operations of the plan on pieces of due tiles: gather, kernel, finish.
#pragma once

#include <utility>

#include "blocks.h"

namespace tiles {

// A node's part of a frame.
struct Step {
    const Plan& plan;
    const Node& node;
    const Output& output;
    uint8_t* arena;

    const Tensor& input(int64_t edge) const { return plan.tensors[node.edges[edge].tensor]; }
    uint8_t* pixel(int64_t edge, int64_t y, int64_t x) const {
        const Tensor& tensor = input(edge);
        return arena + tensor.pixels + y * tensor.row_pitch + x * tensor.pixel_pitch;
    }
    Pixels pixels(int64_t edge, int64_t y, int64_t x) const {
        return {pixel(edge, y, x), input(edge).row_pitch, input(edge).pixel_pitch};
    }
    uint8_t* scratch() const { return arena + plan.scratch; }

    template <class Visit>
    void visit(Visit visit_piece) const {
        visit_pieces(output.tensor, output.dirty, node.block_pixels, [&](const Piece& piece) {
            output.count_computed(piece.tile_end - piece.tile_col, piece.pixels());
            visit_piece(piece);
        });
    }

    // Pieces that are computed together. Their results lie in scratch memory, one after the other.
    static constexpr int64_t kPieces = 256;
    struct Block {
        Piece pieces[kPieces];
        int64_t count = 0, pixels = 0;
        Ahead held;                        // what the results will be compared with
    };

    // Computes pieces in blocks of block_pixels: compute(block, ahead) writes values of `value_bytes`, and fetches meanwhile
    // what the results of the next block will be compared with.
    template <class Compute>
    void compute_blocks(int64_t value_bytes, Compute compute) const {
        const int64_t pitch = node.scratch_pitch * value_bytes;
        Block blocks[2];
        Block *block = &blocks[0], *next = &blocks[1];
        const auto run = [&](Ahead* ahead) {
            compute(*block, ahead);
            const uint8_t* computed = scratch();
            for (int64_t i = 0; i < block->count; ++i) {
                output.finish(block->pieces[i], computed, pitch);
                computed += block->pieces[i].pixels() * pitch;
            }
            block->count = block->pixels = 0;
            block->held.count = block->held.next = 0;
        };
        const auto take_next = [&] {
            if (block->count) run(&next->held);
            while (next->held.next < next->held.count) next->held.fetch();
            std::swap(block, next);
        };
        visit([&](const Piece& piece) {
            if (next->count == kPieces || next->pixels + piece.pixels() > node.block_pixels) take_next();
            next->pieces[next->count++] = piece;
            next->pixels += piece.pixels();
            if (output.is_compared) output.list_held(piece, next->held);
        });
        if (next->count) take_next();
        if (block->count) run(nullptr);
    }

    // Computes each piece by itself: compute(piece, out, pitch) writes its pixels, row after row.
    template <class Compute>
    void compute_pieces(Compute compute) const {
        const Tensor& to = output.tensor;
        if (output.is_direct()) {
            for (int64_t y = 0; y < to.height; ++y)
                compute(Piece{0, 0, 0, y, 0, 1, to.width}, output.at(y, 0), to.pixel_pitch);
            return output.count_all();
        }
        visit([&](const Piece& piece) {
            compute(piece, scratch(), node.scratch_pitch);
            output.finish(piece, scratch(), node.scratch_pitch);
        });
    }

    // The same row by row: compute(y, x, n, out, pitch) writes n pixels of a row.
    template <class Compute>
    void compute_rows(Compute compute) const {
        compute_pieces([&](const Piece& piece, uint8_t* out, int64_t pitch) {
            for (int64_t y = 0; y < piece.rows; ++y)
                compute(piece.y + y, piece.x, piece.cols, out + y * piece.cols * pitch, pitch);
        });
    }

    // The part of a pool's window that is inside of the image.
    struct Clipped {
        int64_t y, x, rows, cols;
    };
    Clipped clip(int64_t y, int64_t x) const {
        const Tensor& from = input(0);
        const int64_t top = y * node.stride - node.top, left = x * node.stride - node.left;
        const int64_t first_row = top > 0 ? top : 0, first_col = left > 0 ? left : 0;
        return {first_row, first_col, lesser(top + node.kernel_rows, from.height) - first_row,
                lesser(left + node.kernel_cols, from.width) - first_col};
    }

    void multiply(int64_t pixels, uint8_t* out, int64_t pitch, Ahead* ahead = nullptr) const;
    void run_product_directly() const;
    void run_product() const;
    void run_depthwise() const;
    void run_elementwise() const;
    void run_pool() const;
    void run_enlargement() const;
    void run_copies() const;
};

// The product of the pixels of one block, whose addresses are known.
inline void Step::multiply(int64_t pixels, uint8_t* out, int64_t pitch, Ahead* ahead) const {
    const uint8_t** addresses = (const uint8_t**)(arena + plan.addresses);
    for (int64_t group = 0; group < node.groups; ++group) {
        if (group)
            for (int64_t i = 0; i < pixels; ++i) addresses[i] += node.group_inputs;
        const int64_t channel = group * node.group_outputs;
        const void* packed = (const uint8_t*)node.packed + group * node.group_bytes;
        Epilogue epilogue = node.epilogue;
        epilogue.multiplier += channel;
        epilogue.bias += channel;
        epilogue.scale += channel;
        epilogue.zero += channel;
        epilogue.ahead = ahead;
        output.kernels.gather(addresses, (int)pixels, node.run_offset, (int)node.runs, (int)node.run_length,
                              arena + plan.panel);
        if (output.is_float)
            output.kernels.multiply_float(arena + plan.panel, (int)pixels, (int)node.k, packed,
                                          (int)node.group_outputs, &epilogue, (float*)out + channel, pitch);
        else
            output.kernels.multiply(arena + plan.panel, (int)pixels, (int)node.k, packed, (int)node.group_outputs,
                                    &epilogue, out + channel, pitch);
    }
}

// Everything, row by row, into held memory.
inline void Step::run_product_directly() const {
    const Tensor &from = input(0), &to = output.tensor;
    const uint8_t** addresses = (const uint8_t**)(arena + plan.addresses);
    for (int64_t y = 0; y < to.height; ++y)
        for (int64_t x = 0; x < to.width; x += node.block_pixels) {
            const int64_t n = lesser(node.block_pixels, to.width - x);
            const uint8_t* window = pixel(0, y * node.stride - node.top, x * node.stride - node.left);
            for (int64_t i = 0; i < n; ++i) addresses[i] = window + i * node.stride * from.pixel_pitch;
            multiply(n, output.at(y, x), to.pixel_pitch);
        }
    output.count_all();
}

inline void Step::run_product() const {
    // Narrow rows would make blocks that are too small, and the last of some groups writes over the next pixel.
    if (output.is_direct() && node.group_outputs % kChannelPad == 0 && output.tensor.width >= node.block_pixels)
        return run_product_directly();
    const Tensor& from = input(0);
    compute_blocks(output.is_float ? 4 : 1, [&](const Block& block, Ahead* ahead) {
        const uint8_t** address = (const uint8_t**)(arena + plan.addresses);
        for (int64_t i = 0; i < block.count; ++i) {
            const Piece& piece = block.pieces[i];
            for (int64_t y = 0; y < piece.rows; ++y) {
                const uint8_t* window = pixel(0, (piece.y + y) * node.stride - node.top, piece.x * node.stride - node.left);
                for (int64_t x = 0; x < piece.cols; ++x) *address++ = window + x * node.stride * from.pixel_pitch;
            }
        }
        multiply(block.pixels, scratch(), node.scratch_pitch, ahead);
    });
}

inline void Step::run_depthwise() const {
    const Tensor &from = input(0), &to = output.tensor;
    const auto window = [&](int64_t y, int64_t x, int64_t rows, int64_t cols) {
        return Window{pixel(0, y * node.stride - node.top, x * node.stride - node.left), (int32_t)rows, (int32_t)cols};
    };
    const auto run = [&](const Window* windows, int64_t count, uint8_t* out, int64_t pitch, Ahead* ahead) {
        Epilogue epilogue = node.epilogue;
        epilogue.ahead = ahead;
        output.kernels.depthwise(windows, (int)count, from.row_pitch, from.pixel_pitch, (int)node.stride,
                                 (int)node.kernel_rows, (int)node.kernel_cols, (int)from.channels, node.packed,
                                 &epilogue, out, pitch);
    };
    if (output.is_direct()) {
        for (int64_t y = 0; y < to.height; ++y) {
            const Window row = window(y, 0, 1, to.width);
            run(&row, 1, output.at(y, 0), to.pixel_pitch, nullptr);
        }
        return output.count_all();
    }
    compute_blocks(1, [&](const Block& block, Ahead* ahead) {
        Window windows[kPieces];
        for (int64_t i = 0; i < block.count; ++i) {
            const Piece& piece = block.pieces[i];
            windows[i] = window(piece.y, piece.x, piece.rows, piece.cols);
        }
        run(windows, block.count, scratch(), node.scratch_pitch, ahead);
    });
}

inline void Step::run_elementwise() const {
    const int channels = (int)output.tensor.channels;
    // Nothing is compared. Kernels may write to held memory, unless they would write over other channels.
    const bool is_direct = channels % kChannelPad == 0;
    visit([&](const Piece& piece) {
        const Pixels a = pixels(0, piece.y, piece.x), b = pixels(node.edge_count - 1, piece.y, piece.x);
        const Pixels out = is_direct ? output.held(piece)
                                     : Pixels{scratch(), piece.cols * node.scratch_pitch, node.scratch_pitch};
        const int rows = (int)piece.rows, cols = (int)piece.cols;
        if (node.operation == kAdd)
            output.kernels.add(a, b, rows, cols, channels, node.factor_a, node.factor_b, &node.epilogue, out);
        else if (node.operation == kMultiply)
            output.kernels.multiply_elements(a, b, rows, cols, channels, node.zero_a, node.factor_a, node.zero_b,
                                             node.factor_b, &node.epilogue, out);
        else
            output.kernels.activate(a, rows, cols, channels, &node.epilogue, out);
        if (is_direct)
            output.count_replaced(piece);
        else
            output.finish(piece, scratch(), node.scratch_pitch);
    });
}

inline void Step::run_pool() const {
    const Tensor& from = input(0);
    const int channels = (int)from.channels;
    compute_rows([&](int64_t y, int64_t x, int64_t n, uint8_t* out, int64_t pitch) {
        if (node.operation == kMaxPool) {
            const Clipped window = clip(y, x);
            return output.kernels.max_pool(pixel(0, window.y, 0), from.row_pitch, from.pixel_pitch, (int)window.rows,
                                           (int)from.width, (int)(x * node.stride - node.left), (int)node.stride,
                                           (int)node.kernel_cols, (int)n, channels, out, pitch);
        }
        for (int64_t i = 0; i < n; ++i, out += pitch) {
            const Clipped window = clip(y, x + i);
            const uint8_t* first = pixel(0, window.y, window.x);
            const int rows = (int)window.rows, cols = (int)window.cols;
            const int padded = node.counts_padding ? (int)(node.kernel_rows * node.kernel_cols) - rows * cols : 0;
            output.kernels.average_pool(first, from.row_pitch, from.pixel_pitch, rows, cols, channels, padded,
                                        node.padding, rows * cols + padded, out);
        }
    });
}

// Straight into held memory: nothing is compared.
inline void Step::run_enlargement() const {
    const Tensor& from = input(0);
    const int64_t factor = node.stride, channels = from.channels;
    visit([&](const Piece& piece) {
        output.count_replaced(piece);
        if (node.operation == kNearest)
            return output.kernels.enlarge(pixels(0, piece.y / factor, piece.x / factor), (int)factor,
                                          (int)(piece.y % factor), (int)(piece.x % factor), (int)piece.rows,
                                          (int)piece.cols, (int)channels, output.held(piece));
        // The pixel weighs 3/4 and its neighbor on the output pixel's side 1/4, in both directions; edges repeat.
        for (int64_t y = piece.y; y < piece.y + piece.rows; ++y) {
            const int64_t row = y / 2, near_row = y % 2 ? lesser(row + 1, from.height - 1) : row ? row - 1 : 0;
            for (int64_t x = piece.x; x < piece.x + piece.cols; ++x) {
                const int64_t col = x / 2, near_col = x % 2 ? lesser(col + 1, from.width - 1) : col ? col - 1 : 0;
                const uint8_t *a = pixel(0, row, col), *b = pixel(0, row, near_col), *c = pixel(0, near_row, col),
                              *d = pixel(0, near_row, near_col);
                uint8_t* out = output.at(y, x);
                for (int64_t j = 0; j < channels; ++j)
                    out[j] = (uint8_t)((9 * a[j] + 3 * b[j] + 3 * c[j] + d[j] + 8) >> 4);
            }
        }
    });
}

// Straight into held memory: nothing is compared.
inline void Step::run_copies() const {
    const Tensor& to = output.tensor;
    visit([&](const Piece& piece) {
        output.count_replaced(piece);
        if (node.operation == kCopy && !node.part_count) return;
        for (int64_t y = piece.y; y < piece.y + piece.rows; ++y) {
            uint8_t* out = output.at(y, piece.x);
            if (node.operation == kCopy) {
                for (int64_t i = 0; i < node.part_count; ++i) {
                    const Part& part = node.parts[i];
                    output.kernels.copy(pixel(part.edge, y, piece.x) + part.from, input(part.edge).pixel_pitch,
                                        out + part.to, to.pixel_pitch, (int)piece.cols, (int)part.bytes);
                }
            } else if (node.operation == kGather) {
                const uint8_t* from = pixel(0, y, piece.x);
                for (int64_t x = 0; x < piece.cols; ++x, out += to.pixel_pitch, from += input(0).pixel_pitch)
                    for (int64_t c = 0; c < to.channels; ++c) out[c] = from[node.order[c]];
            } else {
                const int64_t bytes = input(0).channels;
                for (int64_t group = 0; group < to.channels / bytes; ++group)
                    output.kernels.copy(pixel(0, 2 * y + node.order[2 * group], 2 * piece.x + node.order[2 * group + 1]),
                                        2 * input(0).pixel_pitch, out + group * bytes, to.pixel_pitch, (int)piece.cols,
                                        (int)bytes);
            }
        }
    });
}

}  // namespace tiles
