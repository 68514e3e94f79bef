// AVX-512 with VNNI: vectors of sixteen, and vpdpbusd, which multiplies four unsigned bytes with four signed ones and adds
// all to an int32. The last vector of a pixel's channels is whole, too: channels are padded to sixteen.
#pragma once

#include <immintrin.h>

#include "../generic/vectors.h"

namespace tiles {

struct Avx512Vnni {
    typedef int32_t Int __attribute__((vector_size(64)));
    typedef float Float __attribute__((vector_size(64)));
    static constexpr int lanes = 16;
    static constexpr int group = 4;
    static constexpr int pixels = 12;  // 12 x 2 sums and 2 rows of weights, of 32 registers
    static constexpr int strips = 2;
    static constexpr int gathered = 32;
    static constexpr int narrowed = 4;

    using Panel = uint8_t;
    using Weight = int8_t;
    using Weights = __m512i;
    static constexpr int32_t panel_shift = 0;

    TILES_INLINE void gather(const uint8_t* from, Panel* to) { store(to, load<__m256i>(from)); }

    TILES_INLINE __m512i broadcast(const Panel* four) { return _mm512_set1_epi32(load<int32_t>(four)); }

    // Rows that are missing have zero weights: the first row stands in for them. Four rows of bytes, 0 ... 3, side by
    // side, become words of one byte of each: within a quarter of a register that is a transposition.
    TILES_INLINE __m512i interleave(const uint8_t* row, int64_t row_pitch, int rows) {
        auto read = [&](int y) __attribute__((always_inline)) {
            return load<__m128i>(y < rows ? row + y * row_pitch : row);
        };
        const __m128i first = read(0), second = read(1), third = read(2), fourth = read(3);
        const __m128i upper_low = _mm_unpacklo_epi8(first, second), upper_high = _mm_unpackhi_epi8(first, second);
        const __m128i lower_low = _mm_unpacklo_epi8(third, fourth), lower_high = _mm_unpackhi_epi8(third, fourth);
        const __m256i low = _mm256_set_m128i(_mm_unpackhi_epi16(upper_low, lower_low),
                                             _mm_unpacklo_epi16(upper_low, lower_low));
        const __m256i high = _mm256_set_m128i(_mm_unpackhi_epi16(upper_high, lower_high),
                                              _mm_unpacklo_epi16(upper_high, lower_high));
        return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }

    TILES_INLINE Int dot(Int sum, __m512i values, __m512i weights) {
        return (Int)_mm512_dpbusd_epi32((__m512i)sum, values, weights);
    }

    TILES_INLINE Int widen(const uint8_t* from) { return (Int)_mm512_cvtepu8_epi32(load<__m128i>(from)); }

    TILES_INLINE Int squares(const uint8_t* a, const uint8_t* b) {
        const __m512i difference = _mm512_sub_epi16(_mm512_cvtepu8_epi16(load<__m256i>(a)),
                                                    _mm512_cvtepu8_epi16(load<__m256i>(b)));
        return (Int)_mm512_madd_epi16(difference, difference);
    }

    // As generic/rounding.h states it.
    TILES_INLINE Int squares_of_part(const uint8_t* a, const uint8_t* b, int bytes) {
        const __mmask32 mask = (1u << bytes) - 1;
        const __m512i difference = _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, a)),
                                                    _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, b)));
        return (Int)_mm512_madd_epi16(difference, difference);
    }

    TILES_INLINE Float splat(float value) { return (Float)_mm512_set1_ps(value); }
    TILES_INLINE Float to_float(Int value) { return __builtin_convertvector(value, Float); }

    TILES_INLINE Float if_positive(Float y, Float yes, Float no) {
        const __mmask16 positive = _mm512_cmp_ps_mask((__m512)y, _mm512_setzero_ps(), _CMP_GT_OQ);
        return (Float)_mm512_mask_blend_ps(positive, (__m512)no, (__m512)yes);
    }
    TILES_INLINE Float max(Float a, Float b) { return (Float)_mm512_max_ps((__m512)a, (__m512)b); }
    TILES_INLINE Float min(Float a, Float b) { return (Float)_mm512_min_ps((__m512)a, (__m512)b); }

    // As generic/rounding.h states them.
    struct Rounded {
        Float value;
    };
    TILES_INLINE Float clamp(Float value, float largest) {
        constexpr int smaller_magnitude = 2;  // with the sign of the first
        return (Float)_mm512_range_ps((__m512)value, _mm512_set1_ps(largest), smaller_magnitude);
    }
    TILES_INLINE Rounded rint(Float value) {
        return {(Float)_mm512_roundscale_ps((__m512)value, _MM_FROUND_TO_NEAREST_INT)};
    }
    TILES_INLINE Float times_power_of_two(Float value, Rounded n) {
        return (Float)_mm512_scalef_ps((__m512)value, (__m512)n.value);
    }
    TILES_INLINE Float plus(Float a, Float b) {
        return (Float)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(1.0f), (__m512)b);
    }
    TILES_INLINE Float minus(Float a, Float b) {
        return (Float)_mm512_fmsub_ps((__m512)a, _mm512_set1_ps(1.0f), (__m512)b);
    }
    TILES_INLINE uint32_t total(Int sums) { return (uint32_t)_mm512_reduce_add_epi32((__m512i)sums); }

    // The bits of positive floats are ordered like integers, those of negative ones are negative: this is a minimum of
    // floats, too, on units that are idle.
    TILES_INLINE Int rint_up_to_255(Float value) {
        const __m512 clamped = (__m512)_mm512_min_epi32((__m512i)value, (__m512i)_mm512_set1_ps(255.0f));
        return (Int)_mm512_cvtps_epi32(clamped);
    }

    // Both steps of narrowing work on quarters of a register; the permutation puts the pieces in order.
    TILES_INLINE __m512i narrow(const Int (&values)[narrowed]) {
        const __m512i first = _mm512_packs_epi32((__m512i)values[0], (__m512i)values[1]);
        const __m512i second = _mm512_packs_epi32((__m512i)values[2], (__m512i)values[3]);
        const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
        return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
    }
};

}  // namespace tiles
