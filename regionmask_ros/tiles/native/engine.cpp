// The run loop: one frame of one camera in one call, without allocation. reference.py states the rule in NumPy.
#include <algorithm>

#include "maps.h"
#include "operations.h"
#include "resize.h"

#define TILES_EXPORT extern "C" __attribute__((visibility("default")))

namespace tiles {
namespace {

constexpr int64_t kQuietPart = 20, kFewestTiles = 20;  // as in noise.py

struct Run {
    const Plan& plan;
    const Frame& frame;
    uint8_t* arena;
    Flags* flags;
    bool is_dense;
    uint8_t* map(int64_t offset, const Tensor& tensor, int64_t row) const {
        return arena + offset + row * tensor.map_pitch;
    }

    // Writes the maps of attended tiles, unless the attended regions are those of the last frame.
    void attend_regions() const {
        const int64_t bytes = plan.region_rows * plan.region_cols;
        uint8_t* regions = arena + plan.regions;
        bool is_new = false;
        if (frame.attended && !is_dense) {
            is_new = memcmp(regions, frame.attended, bytes) != 0;
            if (is_new) memcpy(regions, frame.attended, bytes);
        } else {
            for (int64_t i = 0; i < bytes; ++i) {
                is_new |= regions[i] != 1;
                regions[i] = 1;
            }
        }
        if (is_new)
            for (int64_t i = 0; i < plan.grid_count; ++i)
                attend(plan.grids[i], regions, plan.region_cols, arena);
    }

    Output output(int64_t index, const KernelSet& kernels, double threshold, bool is_compared, int64_t* counts) const {
        const Tensor& tensor = plan.tensors[index];
        // In a dense frame all tiles are attended, and nobody asks which are dirty.
        uint8_t* due = is_dense ? arena + plan.grids[tensor.grid].attended : map(tensor.dirty, tensor, 0);
        Output found{tensor, kernels, arena + tensor.pixels, due,
                     map(tensor.weak, tensor, 0), is_dense, is_compared && !is_dense,
                     tensor.is_head(), threshold, flags[index], counts};
        found.tile_limit = found.compute_limit(tensor.side * tensor.side);
        return found;
    }

    // The change of the attended tiles of one row of tiles. It goes along the rows of pixels, so that the processor foresees
    // what is read next; what it finds of 16 bytes is added up apart, for any tile begins with such bytes.
    void measure_change(const Piece& line, const uint8_t* image, const Output& out, const uint8_t* attended,
                        int64_t* change) const {
        const Tensor& tensor = plan.tensors[0];
        const int64_t tile_bytes = tensor.side * tensor.pixel_bytes, row_bytes = tensor.width * tensor.pixel_bytes;
        uint32_t* sums = (uint32_t*)(arena + plan.sums);
        memset(sums, 0, (row_bytes + 15) / 16 * 8 * sizeof *sums);
        for (int64_t y = 0; y < line.rows; ++y)
            visit_runs(attended, plan.region_cols, [&](int64_t first, int64_t end) {
                const int64_t place = first * tile_bytes, bytes = lesser(end * tile_bytes, row_bytes) - place;
                const uint8_t *from = image + y * frame.image_pitch + place, *held = out.at(line.y + y, 0) + place;
                if (memcmp(from, held, bytes) != 0) plan.kernels->add_squares(from, held, (int)bytes, sums + place / 2);
            });
        for (int64_t col = 0; col < plan.region_cols; ++col) {
            change[col] = 0;
            if (!attended[col]) continue;
            const uint32_t* of_tile = sums + col * tile_bytes / 2;
            const int64_t count = (lesser(tile_bytes, row_bytes - col * tile_bytes) + 15) / 16 * 8;
            for (int64_t i = 0; i < count; ++i) change[col] += of_tile[i];
        }
    }

    // Replaces the sections of a tile of the image that changed enough. Returns their pixels.
    int64_t replace_sections(int64_t row, int64_t col, const Output& out) const {
        const Tensor& tensor = plan.tensors[0];
        int64_t pixels = 0;
        for (int64_t r = row * plan.tile_section_rows; r < (row + 1) * plan.tile_section_rows; ++r)
            for (int64_t c = col * plan.tile_section_cols; c < (col + 1) * plan.tile_section_cols; ++c) {
                const int64_t y = plan.section_rows[r], x = plan.section_cols[c];
                const int64_t rows = plan.section_rows[r + 1] - y, cols = plan.section_cols[c + 1] - x;
                if (!rows || !cols) continue;
                const int64_t bytes = cols * tensor.pixel_bytes;
                uint8_t is_weak;
                const Replaced found = plan.kernels->replace({
                    frame.image + y * frame.image_pitch + x * tensor.pixel_bytes, frame.image_pitch, bytes, out.at(y, x),
                    tensor.row_pitch, bytes, 1, (int32_t)rows, 1, (int32_t)bytes, (uint64_t)out.compute_limit(rows * cols),
                    map(tensor.dirty, tensor, r) + c, &is_weak});
                pixels += found.replaced * rows * cols;
            }
        return pixels;
    }

    // Replaces what changed enough of the attended tiles of the image.
    void take_image() const {
        const Tensor& tensor = plan.tensors[0];
        const Output out = output(0, *plan.kernels, frame.input_threshold, true, frame.counts);
        memset(map(tensor.dirty, tensor, 0), 0, map_bytes(tensor));
        for (int64_t row = 0; row < plan.region_rows; ++row) {
            const Piece line = make_piece(tensor, row, 0, plan.region_cols);
            const uint8_t* attended = arena + plan.regions + row * plan.region_cols;
            int64_t* change = frame.change + row * plan.region_cols;
            measure_change(line, frame.image + line.y * frame.image_pitch, out, attended, change);
            for (int64_t col = 0; col < plan.region_cols; ++col) {
                if (!attended[col]) continue;
                const int64_t pixels = make_piece(tensor, row, col, col + 1).pixels();
                out.count_computed(1, pixels);
                if (!is_dense && change[col] >= out.limit(pixels)) out.count_replaced(1, replace_sections(row, col, out));
            }
            if (!is_dense) continue;
            plan.kernels->copy(frame.image + line.y * frame.image_pitch, frame.image_pitch, out.at(line.y, 0),
                               tensor.row_pitch, (int)line.rows, (int)(tensor.width * tensor.pixel_bytes));
            out.count_replaced(plan.region_cols, line.pixels());
        }
        flags[0].dirty = frame.counts[2] > 0;
    }

    // Tiles whose change was too small for the last threshold may be large enough for a lower one.
    void recall_weak(const Tensor& tensor, Flags& flag) const {
        uint8_t* weak = map(tensor.weak, tensor, 0);
        merge(map(tensor.pending, tensor, 0), weak, map_bytes(tensor));
        memset(weak, 0, map_bytes(tensor));
        flag.pending |= flag.weak;
        flag.weak = 0;
    }

    // The tiles that read a dirty tile, now or while they were not attended; margins may be marked, too.
    const uint8_t* find_reached(const Node& node, const Tensor& tensor, const Flags& flag) const {
        if (node.edge_count == 1 && node.edges[0].is_identity() && !flag.pending) {
            const Tensor& input = plan.tensors[node.edges[0].tensor];
            return map(input.dirty, input, 0);
        }
        uint8_t* reached = arena + plan.reached;
        if (flag.pending)
            memcpy(reached, map(tensor.pending, tensor, 0), map_bytes(tensor));
        else
            memset(reached, 0, map_bytes(tensor));
        for (int64_t i = 0; i < node.edge_count; ++i) {
            const Edge& edge = node.edges[i];
            const Tensor& input = plan.tensors[edge.tensor];
            if (flags[edge.tensor].dirty)
                merge_reached(reached, tensor, edge, input, map(input.dirty, input, 0), arena + plan.merged);
        }
        return reached;
    }

    // Writes the tiles that are due into the map `dirty`, and those that stay pending.
    void find_due(const Node& node, const Tensor& tensor, Flags& flag) const {
        const Grid& grid = plan.grids[tensor.grid];
        const uint8_t *reached = find_reached(node, tensor, flag), *unattended = arena + grid.unattended;
        const int64_t bytes = map_bytes(tensor);
        flag.dirty = intersect(reached, arena + grid.attended, map(tensor.dirty, tensor, 0), bytes);
        if (flag.pending || do_intersect(reached, unattended, bytes))
            flag.pending = intersect(reached, unattended, map(tensor.pending, tensor, 0), bytes);
    }

    // Everything is due, and nothing stays pending or weak.
    void take_all(const Tensor& tensor, Flags& flag) const {
        if (flag.pending) memset(map(tensor.pending, tensor, 0), 0, map_bytes(tensor));
        if (flag.weak) memset(map(tensor.weak, tensor, 0), 0, map_bytes(tensor));
        flag.pending = flag.weak = 0;
        flag.dirty = 1;
    }

    void compute(const Node& node, const Output& out) const {
        const Step step{plan, node, out, arena};
        switch (node.operation) {
            case kProduct: return step.run_product();
            case kDepthwise: return step.run_depthwise();
            case kAdd: case kMultiply: case kActivate: return step.run_elementwise();
            case kMaxPool: case kAveragePool: return step.run_pool();
            case kNearest: case kLinear: return step.run_enlargement();
            default: return step.run_copies();
        }
    }

    void run_node(int64_t i) const {
        const Node& node = plan.nodes[i];
        const Tensor& tensor = plan.tensors[i + 1];
        Flags& flag = flags[i + 1];
        int64_t* counts = frame.counts + 4 * (i + 1);
        if (flag.weak && frame.thresholds[i] < flag.threshold) recall_weak(tensor, flag);
        flag.threshold = frame.thresholds[i];
        bool may_be_due = is_dense || flag.pending;
        for (int64_t e = 0; e < node.edge_count; ++e) may_be_due |= flags[node.edges[e].tensor].dirty != 0;
        flag.dirty = 0;
        if (!may_be_due) return;
        if (is_dense)
            take_all(tensor, flag);
        else
            find_due(node, tensor, flag);
        if (!flag.dirty) return;
        compute(node, output(i + 1, *node.kernels, frame.thresholds[i], node.is_compared != 0, counts));
        flag.dirty = counts[2] > 0;
    }

    // What the caller has written to is dirty as a whole.
    void mark_touched(int64_t index) const {
        if (!flags[index].touched) return;
        const Tensor& tensor = plan.tensors[index];
        for (int64_t row = 0; row < tensor.rows; ++row) memset(map(tensor.dirty, tensor, row), 1, tensor.cols);
        flags[index].dirty = 1;
        flags[index].touched = 0;
    }

    // As find_quiet_square of noise.py.
    double find_quiet_square() const {
        const Tensor& tensor = plan.tensors[0];
        const uint8_t* attended = arena + plan.regions;
        int64_t count = 0;
        for (int64_t row = 0; row < plan.region_rows; ++row)
            for (int64_t col = 0; col < plan.region_cols; ++col, ++attended)
                if (*attended) {
                    const int64_t values = make_piece(tensor, row, col, col + 1).pixels() * tensor.channels;
                    frame.squares[count++] = (double)frame.change[row * plan.region_cols + col] / (double)values;
                }
        if (count < kFewestTiles) return -1.0;
        double* place = frame.squares + (count - 1) / kQuietPart;
        std::nth_element(frame.squares, place, frame.squares + count);
        return *place;
    }

    int64_t count_replaced_heads() const {
        int64_t tiles = 0;
        for (int64_t i = 1; i <= plan.node_count; ++i) tiles += plan.tensors[i].is_head() ? frame.counts[4 * i + 2] : 0;
        return tiles;
    }

    // Whether so much of the image was replaced that dense order costs less than comparing.
    bool becomes_dense() const {
        const int64_t tiles = plan.region_rows * plan.region_cols;
        return frame.counts[3] >= frame.dense_pixels && frame.counts[0] == tiles;
    }

    void run() {
        memset(frame.counts, 0, (plan.node_count + 1) * 4 * sizeof(int64_t));
        attend_regions();
        flags[0].dirty = 0;
        if (frame.image) take_image();
        is_dense = is_dense || (frame.image && becomes_dense());
        mark_touched(0);
        for (int64_t i = 0; i < plan.node_count; ++i) {
            run_node(i);
            mark_touched(i + 1);
        }
    }
};

}  // namespace
}  // namespace tiles

TILES_EXPORT void rm_tiles_run(const tiles::Plan* plan, tiles::Frame* frame, uint8_t* arena) {
    tiles::Run run{*plan, *frame, arena, (tiles::Flags*)(arena + plan->flags), frame->is_dense != 0};
    run.run();
    frame->quiet_square = frame->image ? run.find_quiet_square() : -1.0;
    frame->replaced_heads = run.count_replaced_heads();
}

// Sizes of the structures, by which Python sees that its own are the same.
TILES_EXPORT int64_t rm_tiles_structure_bytes(int32_t number) {
    using namespace tiles;
    constexpr int64_t sizes[] = {sizeof(Tensor), sizeof(Grid), sizeof(Edge), sizeof(Part),
                                 sizeof(Node),   sizeof(Plan), sizeof(Flags), sizeof(Frame), sizeof(Resize)};
    return sizes[number];
}

// Whether a kernel set is for an operator, see KernelSet.
TILES_EXPORT int32_t rm_tiles_supports(const tiles::KernelSet* set, int32_t operation, int32_t k, int32_t channels,
                                       int32_t pixels) {
    return set->supports((tiles::Operation)operation, k, channels, pixels);
}

// Packed weights of a convolution: of a product over k = kernel_cols values if kernel_rows is 0, else of a depthwise one.
TILES_EXPORT int64_t rm_tiles_packed_bytes(const tiles::KernelSet* set, int32_t channels, int32_t kernel_rows,
                                           int32_t kernel_cols) {
    return kernel_rows ? set->packed_depthwise_bytes(channels, kernel_rows, kernel_cols)
                       : set->packed_weight_bytes(channels, kernel_cols);
}

TILES_EXPORT void rm_tiles_pack(const tiles::KernelSet* set, const int8_t* weights, const int32_t* offset,
                                int32_t channels, int32_t kernel_rows, int32_t kernel_cols, void* packed) {
    if (kernel_rows)
        set->pack_depthwise(weights, offset, channels, kernel_rows, kernel_cols, packed);
    else
        set->pack_weights(weights, offset, channels, kernel_cols, packed);
}

TILES_EXPORT int32_t rm_tiles_panel_pixels(const tiles::KernelSet* set, int32_t k) { return set->panel_pixels(k); }

TILES_EXPORT int64_t rm_tiles_panel_bytes(const tiles::KernelSet* set, int32_t pixels, int32_t k) {
    return set->panel_bytes(pixels, k);
}
