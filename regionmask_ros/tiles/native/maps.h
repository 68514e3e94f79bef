// Tile maps: which tiles are reached by dirty ones, attended, due and pending.
#pragma once

#include <cstring>

#include "plan.h"

namespace tiles {

// Rows of maps are worked on in whole vectors, which may touch the margin on the right.
inline int64_t padded_cols(int64_t cols) { return (cols + 15) / 16 * 16; }

inline void merge_row(uint8_t* __restrict to, const uint8_t* __restrict from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; ++i) to[i] |= from[i];
}

// Calls visit(first, end) for each run of tiles that a row of a map has.
template <class Visit>
void visit_runs(const uint8_t* row, int64_t cols, Visit visit) {
    const uint8_t *end, *last = row + cols;
    for (const uint8_t* first = row; (first = (const uint8_t*)memchr(first, 1, last - first)); first = end) {
        end = (const uint8_t*)memchr(first, 0, last - first);
        if (!end) end = last;
        visit(first - row, end - row);
    }
}

// Marks in `to` the tiles of row `row` that read a dirty tile.
inline void merge_reached(uint8_t* to, int64_t row, int64_t cols, const Edge& edge, const Tensor& input,
                          const uint8_t* dirty, uint8_t* merged) {
    const int64_t first = edge.tile_rows[2 * row], end = edge.tile_rows[2 * row + 1];
    if (first >= end) return;
    const uint8_t* from = dirty + first * input.map_pitch;
    if (end - first > 1) {
        const int64_t bytes = padded_cols(input.cols);
        memcpy(merged, from, bytes);
        memset(merged + bytes, 0, kMapMargin);
        for (int64_t r = first + 1; r < end; ++r) merge_row(merged, dirty + r * input.map_pitch, bytes);
        from = merged;
    }
    if (edge.before >= 0) {
        const int64_t bytes = padded_cols(cols);
        for (int64_t shift = -edge.before; shift <= edge.after; ++shift) merge_row(to, from + shift, bytes);
    } else {
        for (int64_t col = 0; col < cols; ++col)
            for (int64_t c = edge.tile_cols[2 * col]; c < edge.tile_cols[2 * col + 1]; ++c) to[col] |= from[c];
    }
}

// due = reached and attended, pending = reached and not attended; and whether there are any.
struct Split {
    bool is_due, is_pending;
};
inline Split split_row(const uint8_t* __restrict reached, const uint8_t* __restrict attended,
                       const uint8_t* __restrict unattended, uint8_t* __restrict due, uint8_t* __restrict pending,
                       int64_t cols) {
    uint8_t any_due = 0, any_pending = 0;
    const int64_t bytes = padded_cols(cols);
    for (int64_t i = 0; i < bytes; ++i) {
        const uint8_t value = reached[i];
        due[i] = value & attended[i];
        pending[i] = value & unattended[i];
        any_due |= due[i];
        any_pending |= pending[i];
    }
    return {any_due != 0, any_pending != 0};
}

// Tiles of a grid that lie on an attended region.
inline void attend(const Grid& grid, const uint8_t* regions, int64_t region_cols, uint8_t* arena) {
    for (int64_t row = 0; row < grid.rows; ++row) {
        uint8_t* attended = arena + grid.attended + row * grid.map_pitch;
        uint8_t* unattended = arena + grid.unattended + row * grid.map_pitch;
        for (int64_t col = 0; col < grid.cols; ++col) {
            uint8_t any = 0;
            for (int64_t r = grid.region_rows[2 * row]; r < grid.region_rows[2 * row + 1]; ++r)
                for (int64_t c = grid.region_cols[2 * col]; c < grid.region_cols[2 * col + 1]; ++c)
                    any |= regions[r * region_cols + c];
            attended[col] = any;
            unattended[col] = any ^ 1;
        }
    }
}

}  // namespace tiles
