// Compares one kernel set with the portable one, on random shapes and values, and prints a number made of all results.
// SET is the set, such as kNeonDot. Exit status 1: something differs, and a line says what.
#include <cstdio>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels.h"

namespace tiles {
extern const KernelSet kPortable;
extern const KernelSet SET;
}  // namespace tiles

using namespace tiles;

static uint32_t state = 12345;
static uint32_t draw() { return (state = state * 1664525u + 1013904223u) >> 8; }
static int draw(int low, int high) { return low + (int)(draw() % (uint32_t)(high - low + 1)); }
static float draw_float(float low, float high) { return low + (high - low) * (float)draw(0, 1 << 20) / (1 << 20); }

static std::vector<uint8_t> draw_bytes(size_t size) {
    const bool extreme = draw(0, 3) == 0;
    std::vector<uint8_t> bytes(size + kReadSlack);
    for (auto& byte : bytes) byte = (uint8_t)(extreme ? 255 * draw(0, 1) : draw(0, 255));
    return bytes;
}

static std::vector<float> draw_floats(int channels, float low, float high) {
    std::vector<float> values(channels + 2 * kChannelPad);
    for (auto& value : values) value = draw_float(low, high);
    return values;
}

struct Memory {  // at a cache line
    std::vector<uint8_t> whole;
    explicit Memory(int64_t size) : whole(size + 2 * kAlignment) {}
    void* at() { return (void*)(((uintptr_t)whole.data() + kAlignment - 1) / kAlignment * kAlignment); }
};

static uint64_t results = 1469598103934665603u;

template <class Value>
static void compare(const char* what, const std::vector<Value>& got, const std::vector<Value>& wanted, int n, int pitch,
                    int channels) {
    for (int p = 0; p < n; ++p)
        for (int c = 0; c < channels; ++c) {
            const Value a = got[p * pitch + c], b = wanted[p * pitch + c];
            if (a != b) {
                printf("%s: pixel %d of %d, channel %d of %d: %g, not %g\n", what, p, n, c, channels, (double)a, (double)b);
                throw 1;
            }
            uint32_t bits = 0;
            memcpy(&bits, &b, sizeof b);
            results = (results ^ bits) * 1099511628211u;
        }
}

static void compare_all() {
    const KernelSet* sets[2] = {&SET, &kPortable};
    const int channels = draw(1, 100), n = draw(1, 60), kind = draw(0, 7), pitch = (channels + 15) / 16 * 16 + draw(0, 9);
    const int runs = draw(1, 4), run_length = draw(1, 70), k = runs * run_length;
    const int kh = draw(0, 1) ? 3 : draw(1, 6), kw = draw(0, 1) ? kh : draw(1, 6), stride = draw(1, 2);
    const auto multiplier = draw_floats(channels, 0.0f, 6e-4f), bias = draw_floats(channels, -3, 3);
    const auto scale = draw_floats(channels, 1, 50), zero = draw_floats(channels, 0, 255);
    const Epilogue epilogue = {multiplier.data(), bias.data(), scale.data(), zero.data(), kind, 0.1f, 0.5f, nullptr};
    std::vector<int32_t> offset(channels), run_offset(runs);
    for (auto& value : offset) value = draw(-99999, 99999);
    for (auto& value : run_offset) value = draw(0, 2000);
    const auto weights = draw_bytes((size_t)channels * (k > kh * kw ? k : kh * kw)), image = draw_bytes(5000);
    std::vector<const uint8_t*> pixels(n);
    for (auto& pixel : pixels) pixel = image.data() + draw(0, 2000);
    const int cols = (n - 1) * stride + kw, pixel_pitch = channels + draw(0, 20);
    // The same pixels as a block, for the depthwise convolution.
    const int rows = n % 3 ? 1 : 3, width = (n / rows - 1) * stride + kw, height = (rows - 1) * stride + kh;
    const int window_pixels = kh * cols > height * width ? kh * cols : height * width;
    const auto window = draw_bytes((size_t)window_pixels * pixel_pitch), other = draw_bytes((size_t)n * pixel_pitch);
    std::vector<uint8_t> out[2];
    std::vector<float> head[2];
    const auto same = [&](const char* what, auto call) {
        for (int i = 0; i < 2; ++i) {
            out[i].assign((size_t)n * pitch + kReadSlack, 0);
            head[i].assign((size_t)n * pitch + kReadSlack, 0);
            call(sets[i], out[i].data(), head[i].data());
        }
        compare(what, out[0], out[1], n, pitch, channels);
    };
    same("product", [&](const KernelSet* set, uint8_t* to, float* floats) {
        Memory panel(set->panel_bytes(n, k)), packed(set->packed_weight_bytes(channels, k));
        set->pack_weights((const int8_t*)weights.data(), offset.data(), channels, k, packed.at());
        set->gather(pixels.data(), n, run_offset.data(), runs, run_length, panel.at());
        set->multiply(panel.at(), n, k, packed.at(), channels, &epilogue, to, pitch);
        set->multiply_float(panel.at(), n, k, packed.at(), channels, &epilogue, floats, pitch);
    });
    compare("float product", head[0], head[1], n, pitch, channels);
    same("depthwise", [&](const KernelSet* set, uint8_t* to, float*) {
        Memory packed(set->packed_depthwise_bytes(channels, kh, kw));
        set->pack_depthwise((const int8_t*)weights.data(), offset.data(), channels, kh, kw, packed.at());
        const Window block = {window.data(), rows, n / rows};
        set->depthwise(&block, 1, (int64_t)width * pixel_pitch, pixel_pitch, stride, kh, kw, channels, packed.at(), &epilogue,
                       to, pitch);
    });
    const auto block = [&](const uint8_t* first, int64_t pixel) {
        return Pixels{(uint8_t*)first, n / rows * pixel, pixel};
    };
    const Pixels a = block(window.data(), pixel_pitch), b = block(other.data(), pixel_pitch);
    same("add", [&](const KernelSet* set, uint8_t* to, float*) {
        set->add(a, b, rows, n / rows, channels, scale.data(), bias.data(), &epilogue, block(to, pitch));
    });
    same("multiplication", [&](const KernelSet* set, uint8_t* to, float*) {
        set->multiply_elements(a, b, rows, n / rows, channels, zero.data(), multiplier.data(), zero.data(), scale.data(),
                               &epilogue, block(to, pitch));
    });
    same("activation", [&](const KernelSet* set, uint8_t* to, float*) {
        set->activate(b, rows, n / rows, channels, &epilogue, block(to, pitch));
    });
    same("enlargement", [&](const KernelSet* set, uint8_t* to, float*) {
        set->enlarge(b, stride, stride - 1, 0, rows, n / rows, channels, block(to, pitch));
    });
    same("largest of windows", [&](const KernelSet* set, uint8_t* to, float*) {
        set->max_pool(window.data(), (int64_t)cols * pixel_pitch, pixel_pitch, kh, cols, -(kw / 2), stride, kw, n, channels,
                      to, pitch);
    });
    same("copy", [&](const KernelSet* set, uint8_t* to, float*) {
        set->copy(other.data(), pixel_pitch, to, pitch, n, channels);
    });
    std::vector<uint8_t> marks(2 * n);
    same("replacement", [&](const KernelSet* set, uint8_t* to, float*) {
        memcpy(to, window.data(), channels);
        set->replace({other.data(), 0, pixel_pitch, to, 0, pitch, n, 1, 1, channels, 30000, marks.data(), marks.data() + n});
        for (int i = 0; i < 2 * n; ++i) results = (results ^ marks[i]) * 1099511628211u;
    });
    // Sets may share 16 bytes among 8 sums as they like.
    std::vector<uint32_t> squares[2];
    for (int i = 0; i < 2; ++i) {
        std::vector<uint32_t> sums(8 * (channels / 16 + 4));
        for (int row = 0; row < 3; ++row) sets[i]->add_squares(window.data(), other.data() + row, channels, sums.data());
        for (size_t part = 0; part < sums.size(); part += 8)
            squares[i].push_back(std::accumulate(&sums[part], &sums[part] + 8, 0u));
    }
    compare("squares", squares[0], squares[1], 1, 0, (int)squares[0].size());
}

int main() {
    try {
        for (int i = 0; i < 150; ++i) compare_all();
    } catch (int status) {
        return status;
    }
    printf("%016llx\n", (unsigned long long)results);
}
