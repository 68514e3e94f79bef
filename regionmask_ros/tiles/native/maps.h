// Tile maps: which tiles are reached by dirty ones, attended, due and pending.
#pragma once

#include <cstring>

#include "plan.h"

namespace tiles {

// Wider vectors where the processor has them.
#if defined(__x86_64__) && defined(__GLIBC__) && __has_attribute(target_clones)
#define TILES_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define TILES_WIDE
#endif

// Maps are worked on as a whole, with the margins of their rows.
inline int64_t map_bytes(const Tensor& tensor) { return tensor.rows * tensor.map_pitch; }

TILES_WIDE inline void merge(uint8_t* __restrict to, const uint8_t* __restrict from, int64_t bytes) {
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

// Marks in `to` the tiles that read a dirty tile. It may mark margins, too; `merged` is room for a map.
inline void merge_reached(uint8_t* to, const Tensor& output, const Edge& edge, const Tensor& input, const uint8_t* dirty,
                          uint8_t* merged) {
    const int64_t bytes = map_bytes(input), pitch = input.map_pitch;
    if (edge.is_shifted()) {
        if (edge.above + edge.below > 0) {
            memcpy(merged, dirty, bytes);
            for (int64_t shift = pitch; shift <= edge.above * pitch; shift += pitch)
                merge(merged + shift, dirty, bytes - shift);
            for (int64_t shift = pitch; shift <= edge.below * pitch; shift += pitch)
                merge(merged, dirty + shift, bytes - shift);
            dirty = merged;
        }
        for (int64_t shift = -edge.before; shift <= edge.after; ++shift) merge(to, dirty + shift, bytes);
        return;
    }
    for (int64_t row = 0; row < output.rows; ++row, to += output.map_pitch) {
        memset(merged, 0, pitch);
        for (int64_t r = edge.tile_rows[2 * row]; r < edge.tile_rows[2 * row + 1]; ++r)
            merge(merged, dirty + r * pitch, pitch);
        for (int64_t col = 0; col < output.cols; ++col)
            for (int64_t c = edge.tile_cols[2 * col]; c < edge.tile_cols[2 * col + 1]; ++c) to[col] |= merged[c];
    }
}

// What two maps have in common, and whether that is anything.
TILES_WIDE inline bool intersect(const uint8_t* __restrict a, const uint8_t* __restrict b, uint8_t* __restrict common,
                                 int64_t bytes) {
    uint8_t any = 0;
    for (int64_t i = 0; i < bytes; ++i) any |= common[i] = a[i] & b[i];
    return any != 0;
}

TILES_WIDE inline bool do_intersect(const uint8_t* a, const uint8_t* b, int64_t bytes) {
    uint8_t any = 0;
    for (int64_t i = 0; i < bytes; ++i) any |= a[i] & b[i];
    return any != 0;
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
