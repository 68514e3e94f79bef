// AVX2: vectors of eight. It has no product of unsigned and signed bytes that is exact (vpmaddubsw saturates), so values
// and weights are int16, and vpmaddwd multiplies and adds pairs.
#pragma once

#include <immintrin.h>

#include "../generic/rounding.h"

namespace tiles {

typedef int32_t Int8 __attribute__((vector_size(32)));
typedef float Float8 __attribute__((vector_size(32)));

struct Avx2 : Rounding<Avx2, Float8, Int8> {
    typedef Int8 Int;
    typedef Float8 Float;
    static constexpr int lanes = 8;
    static constexpr int group = 2;
    static constexpr int pixels = 6;  // 6 x 2 sums, 2 rows of weights, a pair of values and a product fill 16 registers
    static constexpr int strips = 2;
    static constexpr int gathered = 16;
    static constexpr int narrowed = 4;

    using Panel = int16_t;
    using Weight = int16_t;
    using Weights = __m256i;
    static constexpr int32_t panel_shift = 0;

    TILES_INLINE void gather(const uint8_t* from, Panel* to) {
        store(to, _mm256_cvtepu8_epi16(load<__m128i>(from)));
    }

    TILES_INLINE __m256i broadcast(const Panel* pair) { return _mm256_set1_epi32(load<int32_t>(pair)); }

    TILES_INLINE __m256i interleave(const uint8_t* row, int64_t row_pitch, int rows) {
        const __m128i first = _mm_loadl_epi64((const __m128i*)row);
        if (rows == 1) return _mm256_cvtepu8_epi32(first);
        return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(first, _mm_loadl_epi64((const __m128i*)(row + row_pitch))));
    }

    TILES_INLINE Int dot(Int sum, __m256i values, __m256i weights) {
        return (Int)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16(values, weights));
    }

    TILES_INLINE Int widen(const uint8_t* from) { return (Int)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)from)); }

    TILES_INLINE Int squares(const uint8_t* a, const uint8_t* b) {
        const __m256i difference = _mm256_sub_epi16(_mm256_cvtepu8_epi16(load<__m128i>(a)),
                                                    _mm256_cvtepu8_epi16(load<__m128i>(b)));
        return (Int)_mm256_madd_epi16(difference, difference);
    }

    TILES_INLINE Float splat(float value) { return _mm256_set1_ps(value); }
    TILES_INLINE Float to_float(Int value) { return __builtin_convertvector(value, Float); }

    TILES_INLINE Float if_positive(Float y, Float yes, Float no) {
        return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ));
    }
    TILES_INLINE Float max(Float a, Float b) { return _mm256_max_ps(a, b); }
    TILES_INLINE Float min(Float a, Float b) { return _mm256_min_ps(a, b); }

    // As generic/rounding.h states them.
    TILES_INLINE Float plus(Float a, Float b) { return _mm256_fmadd_ps(a, _mm256_set1_ps(1.0f), b); }
    TILES_INLINE Float minus(Float a, Float b) { return _mm256_fmsub_ps(a, _mm256_set1_ps(1.0f), b); }
    TILES_INLINE uint32_t total(Int sums) {
        const __m128i four = _mm_add_epi32(_mm256_castsi256_si128((__m256i)sums),
                                           _mm256_extracti128_si256((__m256i)sums, 1));
        const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        return (uint32_t)_mm_cvtsi128_si32(two) + (uint32_t)_mm_extract_epi32(two, 1);
    }

    TILES_INLINE Int rint_up_to_255(Float value) {
        return (Int)_mm256_cvtps_epi32(_mm256_min_ps(value, _mm256_set1_ps(255.0f)));
    }

    // Both steps of narrowing work on halves of a register; the permutation puts the quarters in order.
    TILES_INLINE __m256i narrow(const Int (&values)[narrowed]) {
        const __m256i first = _mm256_packs_epi32((__m256i)values[0], (__m256i)values[1]);
        const __m256i second = _mm256_packs_epi32((__m256i)values[2], (__m256i)values[3]);
        return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second),
                                           _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    }
};

}  // namespace tiles
