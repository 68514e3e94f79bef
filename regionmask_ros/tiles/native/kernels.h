// The contract between the run loop and the kernels: what every kernel set computes, bit for bit.
//
// Tensors are NHWC, activations uint8, weights int8, sums int32, everything else float32. Arithmetic is IEEE, round half
// to even, in the order of the equations, never fused. Arrays over channels hold a multiple of `kChannelPad` elements.
//
// Reading: a kernel may read `kReadSlack` bytes past the last byte that it needs, so that it can always load whole
// vectors; what it reads there has no influence. Writing: `out` is scratch, where a kernel may write up to the padded
// number of channels of each pixel (in ascending order of pixels), so `out` needs `kReadSlack` bytes after its end.
// Kernels allocate nothing. Parameters are finite, and so small that no sum overflows int32 and no float overflows.
#pragma once

#include <cstdint>

namespace tiles {

constexpr int kChannelPad = 16;
constexpr int kReadSlack = 64;
constexpr int kAlignment = 64;  // of packed weights and panels

enum Activation : int32_t {
    kIdentity = 0,     // y
    kRelu = 1,         // y > 0 ? y : 0
    kRelu6 = 2,        // min(relu(y), 6)
    kLeakyRelu = 3,    // y > 0 ? y : y * alpha
    kSigmoid = 4,      // 1 / (1 + exp(-y)), with the exponential of exponential.h
    kSilu = 5,         // y / (1 + exp(-y))
    kHardSigmoid = 6,  // min(relu(y * alpha + beta), 1)
    kHardSwish = 7,    // (y * min(relu(y + 3), 6)) * float(1 / 6)
};

// What a node of the plan does.
enum Operation : int64_t {
    kProduct = 0,      // convolution as a matrix product
    kDepthwise = 1,    // convolution of each channel by itself
    kAdd = 2,
    kMultiply = 3,
    kActivate = 4,
    kMaxPool = 5,
    kAveragePool = 6,
    kNearest = 7,      // enlargement by copies
    kLinear = 8,       // enlargement by 2 with weights of 3/4 and 1/4
    kCopy = 9,         // byte runs of the inputs' pixels; none where the output lies in the inputs' memory
    kGather = 10,      // channels in any order
    kBlocks = 11,      // space to depth
};

// Lines of memory that will be needed soon. Kernels fetch some of them each time they finish sums: a processor fetches about
// twenty lines at a time, and drops those that are too many.
struct Ahead {
    static constexpr int kMost = 512, kTogether = 4;
    const uint8_t* lines[kMost];
    int count = 0, next = 0;

    void fetch() {
        for (const int end = next + kTogether < count ? next + kTogether : count; next < end; ++next)
            __builtin_prefetch(lines[next], 1);
    }
};

// From a sum to an output.
//   y = float(sum) * multiplier + bias,  z = activation(y)                 (float heads: z)
//   q = rint(min(max(z * scale + zero, 0), 255))
// All four arrays are over output channels. Kernels of float heads do not read `scale` and `zero`.
struct Epilogue {
    const float* multiplier;
    const float* bias;
    const float* scale;
    const float* zero;
    int32_t activation;
    float alpha, beta;
    Ahead* ahead;              // nullptr: none
};

// A block of output pixels of a depthwise convolution: the first byte of its first window, and its size.
struct Window {
    const uint8_t* first;
    int32_t rows, cols;
};

// Computed tiles side by side, and what is held there. Pitches count bytes.
struct Tiles {
    const uint8_t* computed;
    int64_t computed_row, computed_pixel;
    uint8_t* held;
    int64_t held_row, held_pixel;
    int32_t tiles;
    int32_t rows, cols;       // pixels of a tile
    int32_t bytes;            // of a pixel; others lie between pixels, which do not count
    uint64_t limit;           // from which sum of squared differences on a tile is replaced; at least 1
    uint8_t *replaced, *weak; // [tiles], written: 1 where it is; 1 where it differs, but is not
};

// A block of pixels, row after row. Pitches count bytes.
struct Pixels {
    uint8_t* first;
    int64_t row_pitch, pixel_pitch;
};

// How many tiles.
struct Replaced {
    int32_t replaced, weak;
};

struct KernelSet {
    const char* name;

    // Whether an operator is for this set: it can be, and another set would not be faster. `k`: how many products make a
    // sum; `channels`, `pixels`: of the output. The plan asks once a node, the fastest set first; the portable set
    // supports everything.
    bool (*supports)(Operation operation, int k, int channels, int pixels);

    // --- Convolution as a product of a panel of gathered pixels and weights.
    //   sum[p][o] = offset[o] + sum over j < k of weights[o][j] * pixel[p][j]

    // The number of pixels of a panel that is best for the caches. `multiply` takes any number.
    int32_t (*panel_pixels)(int k);
    int64_t (*panel_bytes)(int pixels, int k);
    // For each of n pixels, `runs` runs of bytes: run r has `run_length` bytes and starts at pixels[p] + run_offset[r].
    // k = runs * run_length.
    void (*gather)(const uint8_t* const* pixels, int n, const int32_t* run_offset, int runs, int run_length,
                   void* panel);
    int64_t (*packed_weight_bytes)(int channels, int k);
    // weights [channels][k]. The packed weights hold the offsets too.
    void (*pack_weights)(const int8_t* weights, const int32_t* offset, int channels, int k, void* packed);
    // Outputs [n][channels], pixel p at out + p * out_pitch; the pitch of `multiply_float` counts floats.
    void (*multiply)(const void* panel, int n, int k, const void* packed, int channels, const Epilogue* epilogue,
                     uint8_t* out, int64_t out_pitch);
    void (*multiply_float)(const void* panel, int n, int k, const void* packed, int channels,
                           const Epilogue* epilogue, float* out, int64_t out_pitch);

    // --- Depthwise convolution of blocks of output pixels, one after the other; pixel (i, j) of a block at
    //     its first + (i * cols + j) * out_pitch.
    //   sum[i][j][c] = offset[c] + sum over y < kh, x < kw of weights[c][y][x] * window[i * stride + y][j * stride + x][c]
    int64_t (*packed_depthwise_bytes)(int channels, int kh, int kw);
    // weights [channels][kh][kw].
    void (*pack_depthwise)(const int8_t* weights, const int32_t* offset, int channels, int kh, int kw, void* packed);
    void (*depthwise)(const Window* windows, int count, int64_t row_pitch, int64_t pixel_pitch, int stride, int kh, int kw,
                      int channels, const void* packed, const Epilogue* epilogue, uint8_t* out, int64_t out_pitch);

    // --- Pools. The caller has clipped the rows of the windows to the image.
    //   q[p][c] = max over y < rows and those columns p * stride + left + x, x < kw, that the image has
    // `row`: column 0 of the windows' first row. Every window has a column of the image.
    void (*max_pool)(const uint8_t* row, int64_t row_pitch, int64_t pixel_pitch, int rows, int width, int left, int stride,
                     int kw, int n, int channels, uint8_t* out, int64_t out_pitch);
    // One output pixel; the columns are clipped, too.
    //   q[c] = (2 * (sum of the window + padded * zero[c]) + count) / (2 * count), rounded down
    // `padded`: pixels of padding that count; `count`: all pixels that count.
    void (*average_pool)(const uint8_t* window, int64_t row_pitch, int64_t pixel_pitch, int rows, int cols,
                         int channels, int padded, const uint8_t* zero, int count, uint8_t* out);

    // --- Element by element, on blocks of rows * cols pixels.
    //   y = (float(a) * ma + float(b) * mb) + epilogue.bias
    void (*add)(const Pixels& a, const Pixels& b, int rows, int cols, int channels, const float* ma, const float* mb,
                const Epilogue* epilogue, const Pixels& out);
    //   y = ((float(a) - za) * ma) * ((float(b) - zb) * mb)
    void (*multiply_elements)(const Pixels& a, const Pixels& b, int rows, int cols, int channels, const float* za,
                              const float* ma, const float* zb, const float* mb, const Epilogue* epilogue,
                              const Pixels& out);
    //   y = float(a) * epilogue.multiplier + epilogue.bias
    void (*activate)(const Pixels& a, int rows, int cols, int channels, const Epilogue* epilogue, const Pixels& out);

    // --- Bytes.
    // Adds (a - b)^2 of `bytes` bytes to `sums`: for bytes 16 i to 16 i + 15 to sums 8 i to 8 i + 7, at most 2 * 255^2
    // to each. Reads exactly these bytes, and may add zeros to 16 sums behind.
    void (*add_squares)(const uint8_t* a, const uint8_t* b, int bytes, uint32_t* sums);
    // Replaces the tiles whose sum of (computed - held)^2 reaches the limit. Bytes of floats: a limit of 1 finds any change.
    Replaced (*replace)(const Tiles& tiles);
    // Copies exactly n rows of `bytes` bytes.
    void (*copy)(const uint8_t* from, int64_t from_pitch, uint8_t* to, int64_t to_pitch, int n, int bytes);
    // Copies exactly the `bytes` of each pixel: (i, j) of rows * cols is that of `from` at the whole parts of
    // (top + i) / factor and (left + j) / factor; top and left are below the factor.
    void (*enlarge)(const Pixels& from, int factor, int top, int left, int rows, int cols, int bytes, const Pixels& out);
};

}  // namespace tiles
