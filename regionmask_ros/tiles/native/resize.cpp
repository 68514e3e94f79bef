// Resizes the observed regions of a camera's image to the network's input, bilinear, in the fixed-point arithmetic of
// OpenCV's resize of uint8 images, bit for bit:
//   across[x] = (from[x0] * weight[0] + from[x0 + 1] * weight[1]) >> 4                       (weights of 2^11)
//   out[y]    = (((across[y0] * weight[0]) >> 16) + ((across[y1] * weight[1]) >> 16) + 2) >> 2
#include "resize.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <cstring>

#define TILES_EXPORT extern "C" __attribute__((visibility("default")))

namespace tiles {
namespace {

constexpr int64_t kRegion = 16;

void resize_pixel(const Resize& plan, const uint8_t* row, int64_t x, int16_t* out) {
    const int16_t* weight = plan.column_weight + 2 * x;
    const uint8_t* left = row + plan.column[x];
    // In the last column there is no right neighbor, whose weight is 0 then.
    const uint8_t* right = weight[1] ? left + 3 : left;
    for (int c = 0; c < 3; ++c)
        out[plan.is_swapped ? 2 - c : c] = (int16_t)((left[c] * weight[0] + right[c] * weight[1]) >> 4);
}

// `out` has room for two values more than those of the columns.
void resize_across(const Resize& plan, const uint8_t* row, int64_t first, int64_t end, int16_t* out) {
    int64_t x = first;
#if defined(__SSE2__)
    const __m128i zero = _mm_setzero_si128();
    const int64_t last = end < plan.wide_columns ? end : plan.wide_columns;
    for (; x < last; ++x, out += 3) {
        int32_t weights;
        memcpy(&weights, plan.column_weight + 2 * x, 4);
        const __m128i both = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i*)(row + plan.column[x])), zero);
        const __m128i pairs = _mm_unpacklo_epi16(both, _mm_srli_si128(both, 6));
        const __m128i sums = _mm_srai_epi32(_mm_madd_epi16(pairs, _mm_set1_epi32(weights)), 4);
        __m128i pixel = _mm_packs_epi32(sums, sums);
        if (plan.is_swapped) pixel = _mm_shufflelo_epi16(pixel, _MM_SHUFFLE(3, 0, 1, 2));
        _mm_storel_epi64((__m128i*)out, pixel);
    }
#endif
    for (; x < end; ++x, out += 3) resize_pixel(plan, row, x, out);
}

// Compiled twice where the loader can choose: with AVX2, the processor blends twice as many values at a time.
#if defined(__x86_64__) && defined(__GLIBC__) && __has_attribute(target_clones)
__attribute__((target_clones("avx2", "default")))
#endif
void blend(const int16_t* __restrict above, const int16_t* __restrict below, const int16_t* weight,
           uint8_t* __restrict out, int64_t count) {
    const int16_t first = weight[0], second = weight[1];
    for (int64_t i = 0; i < count; ++i) {
        const int16_t a = (int16_t)((above[i] * first) >> 16), b = (int16_t)((below[i] * second) >> 16);
        out[i] = (uint8_t)((int16_t)(a + b + 2) >> 2);
    }
}

void resize_run(const Resize& plan, const uint8_t* from, int64_t top, int64_t bottom, int64_t first, int64_t end,
                uint8_t* to) {
    // Neighboring rows of the input share rows of the image.
    int16_t* across[2] = {plan.scratch, plan.scratch + plan.scratch_pitch};
    int64_t row_of[2] = {-1, -1};
    const auto find = [&](int64_t row, int other) {
        for (int i = 0; i < 2; ++i)
            if (row_of[i] == row) return i;
        const int place = other == 0 ? 1 : 0;
        resize_across(plan, from + row * plan.from_pitch, first, end, across[place]);
        row_of[place] = row;
        return place;
    };
    for (int64_t y = top; y < bottom; ++y) {
        const int64_t next = plan.rows[2 * y + 1];
        // The place that holds the lower row must not be lost for the upper one.
        const int above = find(plan.rows[2 * y], row_of[0] == next ? 0 : row_of[1] == next ? 1 : -1);
        const int below = find(next, above);
        blend(across[above], across[below], plan.row_weight + 2 * y, to + (y * plan.width + first) * 3,
              (end - first) * 3);
    }
}

}  // namespace
}  // namespace tiles

TILES_EXPORT void rm_tiles_resize(const tiles::Resize* plan, const uint8_t* from, const uint8_t* observed, uint8_t* to) {
    using namespace tiles;
    const int64_t cols = (plan->width + kRegion - 1) / kRegion;
    for (int64_t top = 0; top < plan->height; top += kRegion, observed += cols) {
        const int64_t bottom = top + kRegion < plan->height ? top + kRegion : plan->height;
        for (int64_t col = 0; col < cols; ++col) {
            if (!observed[col]) continue;
            const int64_t first = col;
            while (col < cols && observed[col]) ++col;
            const int64_t end = col * kRegion < plan->width ? col * kRegion : plan->width;
            resize_run(*plan, from, top, bottom, first * kRegion, end, to);
        }
    }
}
