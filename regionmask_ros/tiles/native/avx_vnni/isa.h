// AVX-VNNI: AVX2, and vpdpbusd, which multiplies four unsigned bytes with four signed ones and adds all to an int32.
#pragma once

#include "../avx2/isa.h"

namespace tiles {

struct AvxVnni : Avx2 {
    static constexpr int group = 4;
    static constexpr int gathered = 32;

    using Panel = uint8_t;
    using Weight = int8_t;

    TILES_INLINE void gather(const uint8_t* from, Panel* to) { store(to, load<__m256i>(from)); }

    TILES_INLINE __m256i broadcast(const Panel* four) { return _mm256_set1_epi32(load<int32_t>(four)); }

    // Rows that are missing have zero weights: the first row stands in for them.
    TILES_INLINE __m256i interleave(const uint8_t* row, int64_t row_pitch, int rows) {
        auto read = [&](int y) __attribute__((always_inline)) {
            return _mm_loadl_epi64((const __m128i*)(y < rows ? row + y * row_pitch : row));
        };
        const __m128i upper = _mm_unpacklo_epi8(read(0), read(1)), lower = _mm_unpacklo_epi8(read(2), read(3));
        return _mm256_set_m128i(_mm_unpackhi_epi16(upper, lower), _mm_unpacklo_epi16(upper, lower));
    }

    TILES_INLINE Int dot(Int sum, __m256i values, __m256i weights) {
        return (Int)_mm256_dpbusd_avx_epi32((__m256i)sum, values, weights);
    }
};

}  // namespace tiles
