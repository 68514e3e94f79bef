// Resizes the observed regions of a camera's image to the network's input, bilinear, in the fixed-point arithmetic of
// OpenCV's resize of uint8 images, bit for bit:
//   across[x] = (from[x0] * weight[0] + from[x0 + 1] * weight[1]) >> 4                       (weights of 2^11)
//   out[y]    = (((across[y0] * weight[0]) >> 16) + ((across[y1] * weight[1]) >> 16) + 2) >> 2
#include "resize.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>

#define TILES_EXPORT extern "C" __attribute__((visibility("default")))

namespace tiles {
namespace {

constexpr int64_t kRegion = 16, kAhead = 128;

void resize_pixel(const Resize& plan, const uint8_t* row, int64_t x, int16_t* out) {
    const int16_t* weight = plan.column_weight + 2 * x;
    const uint8_t* left = row + plan.column[x];
    // In the last column there is no right neighbor, whose weight is 0 then.
    const uint8_t* right = weight[1] ? left + 3 : left;
    for (int c = 0; c < 3; ++c)
        out[plan.is_swapped ? 2 - c : c] = (int16_t)((left[c] * weight[0] + right[c] * weight[1]) >> 4);
}

#if defined(__x86_64__)
#define TILES_AVX2 __attribute__((target("avx2")))
#define TILES_AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vbmi")))

// As `blend`, of 16 values.
TILES_AVX2 inline void blend_block(__m256i above, __m256i below, const int16_t* weight, uint8_t* out) {
    const __m256i a = _mm256_mulhi_epi16(above, _mm256_set1_epi16(weight[0]));
    const __m256i b = _mm256_mulhi_epi16(below, _mm256_set1_epi16(weight[1]));
    const __m256i sum = _mm256_srli_epi16(_mm256_add_epi16(_mm256_add_epi16(a, b), _mm256_set1_epi16(2)), 2);
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(sum, sum), _MM_SHUFFLE(3, 1, 2, 0));
    _mm_storeu_si128((__m128i*)out, _mm256_castsi256_si128(bytes));
}

inline void fetch(const uint8_t* from) {
    __builtin_prefetch(from);
    __builtin_prefetch(from + 64);
}

// 16 values, from 16 bytes of the row for each four of them.
struct BlockAvx2 {
    const int32_t* byte;
    const __m256i *index, *weight;

    BlockAvx2(const Resize& plan, int64_t block)
        : byte(plan.block_byte + 4 * block), index((const __m256i*)plan.block_index + 2 * block),
          weight((const __m256i*)plan.block_weight + 2 * block) {}

    TILES_AVX2 inline __m256i resize(const uint8_t* row) const {
        __m256i sums[2];
        for (int i = 0; i < 2; ++i) {
            const __m128i *low = (const __m128i*)(row + byte[i]), *high = (const __m128i*)(row + byte[i + 2]);
            const __m256i pairs = _mm256_shuffle_epi8(_mm256_loadu2_m128i(high, low), _mm256_load_si256(index + i));
            sums[i] = _mm256_srai_epi32(_mm256_madd_epi16(pairs, _mm256_load_si256(weight + i)), 4);
        }
        return _mm256_packs_epi32(sums[0], sums[1]);
    }
};

// 16 values, from 64 bytes of the row.
struct BlockAvx512 {
    int64_t byte;
    __m512i index, weight;

    TILES_AVX512 inline BlockAvx512(const Resize& plan, int64_t block)
        : byte(plan.block_byte[block]), index(_mm512_load_si512((const __m512i*)plan.block_index + block)),
          weight(_mm512_load_si512((const __m512i*)plan.block_weight + block)) {}

    TILES_AVX512 inline __m256i resize(const uint8_t* row) const {
        const __m512i from = _mm512_loadu_si512(row + byte);
        const __m512i pairs = _mm512_maskz_permutexvar_epi8(0x5555555555555555, index, from);
        return _mm512_cvtepi32_epi16(_mm512_srai_epi32(_mm512_madd_epi16(pairs, weight), 4));
    }
};

// A column of regions has 48 values: three blocks. Neighboring rows of the input share rows of the image. What the next
// column needs is fetched while this one is computed: a camera's image lies far from the processor.
#define TILES_RESIZE_REGION(Block)                                                              \
    const int64_t number = first * 3 / 16, to_pitch = 3 * plan.width;                           \
    const int64_t from_pitch = plan.from_pitch, ahead = plan.column[first] + kAhead;            \
    const Block blocks[3] = {{plan, number}, {plan, number + 1}, {plan, number + 2}};           \
    const int32_t* rows = plan.rows;                                                            \
    const int16_t* weights = plan.row_weight;                                                   \
    __m256i above[3], below[3] = {};                                                            \
    int64_t last = -1;                                                                          \
    to += top * to_pitch + 3 * first;                                                           \
    for (int64_t y = top; y < bottom; ++y, to += to_pitch) {                                    \
        const int64_t upper = rows[2 * y], lower = rows[2 * y + 1];                             \
        const uint8_t* upper_row = from + upper * from_pitch;                                   \
        const uint8_t* lower_row = from + lower * from_pitch;                                   \
        fetch(upper_row + ahead);                                                               \
        fetch(lower_row + ahead);                                                               \
        for (int i = 0; i < 3; ++i) {                                                           \
            above[i] = upper == last ? below[i] : blocks[i].resize(upper_row);                  \
            below[i] = blocks[i].resize(lower_row);                                             \
            blend_block(above[i], below[i], weights + 2 * y, to + 16 * i);                      \
        }                                                                                       \
        last = lower;                                                                           \
    }

TILES_AVX2 void resize_region_avx2(const Resize& plan, const uint8_t* from, int64_t top, int64_t bottom, int64_t first,
                                   uint8_t* to) {
    TILES_RESIZE_REGION(BlockAvx2)
}

TILES_AVX512 void resize_region_avx512(const Resize& plan, const uint8_t* from, int64_t top, int64_t bottom,
                                       int64_t first, uint8_t* to) {
    TILES_RESIZE_REGION(BlockAvx512)
}
#endif

// `out` has room for two values more than those of the columns.
void resize_across(const Resize& plan, const uint8_t* row, int64_t first, int64_t end, int16_t* out) {
    int64_t x = first;
#if defined(__x86_64__)
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
            int64_t begin = first * kRegion;
#if defined(__x86_64__)
            if (plan->block)
                for (; begin + kRegion <= end; begin += kRegion)
                    (plan->block == 16 ? resize_region_avx512 : resize_region_avx2)(*plan, from, top, bottom, begin, to);
#endif
            if (begin < end) resize_run(*plan, from, top, bottom, begin, end, to);
        }
    }
}

// Sizes of blocks for which this processor has instructions, the fastest first; 0 behind the last one.
TILES_EXPORT int64_t rm_tiles_resize_block(int64_t number) {
#if defined(__x86_64__)
    const bool has_16 = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512vbmi");
    if (has_16 && number-- == 0) return 16;
    if (__builtin_cpu_supports("avx2") && number == 0) return 4;
#endif
    return 0 * number;
}
