// Takes the place of the compiler's header, so that kernels for AVX-512 and AVX-VNNI run on any processor with AVX2: SIMDe
// replaces the intrinsics. What Debian's SIMDe 0.7.4 lacks, or has wrong, is below.
#pragma once

#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>

#undef _mm512_madd_epi16
#define _mm512_madd_epi16 simde_mm512_madd_epi16
#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
#define _mm512_cvtepu8_epi32 emulated_mm512_cvtepu8_epi32
#define _mm512_cvtps_epi32 emulated_mm512_cvtps_epi32
#undef _mm512_cvtepu8_epi16
#define _mm512_cvtepu8_epi16 emulated_mm512_cvtepu8_epi16

static inline __m512i emulated_mm512_cvtepu8_epi32(__m128i bytes) {
    simde__m512i_private wide;
    simde__m128i_private narrow = simde__m128i_to_private(bytes);
    for (int lane = 0; lane < 16; ++lane) wide.u32[lane] = narrow.u8[lane];
    return simde__m512i_from_private(wide);
}

static inline __m512i emulated_mm512_cvtepu8_epi16(__m256i bytes) {
    simde__m512i_private wide;
    simde__m256i_private narrow = simde__m256i_to_private(bytes);
    for (int lane = 0; lane < 32; ++lane) wide.u16[lane] = narrow.u8[lane];
    return simde__m512i_from_private(wide);
}

static inline __m512i emulated_mm512_cvtps_epi32(__m512 values) {
    simde__m512_private from = simde__m512_to_private(values);
    simde__m512i_private to;
    for (int half = 0; half < 2; ++half) to.m256i[half] = _mm256_cvtps_epi32(from.m256[half]);
    return simde__m512i_from_private(to);
}

#define _mm512_reduce_add_epi32 emulated_mm512_reduce_add_epi32
static inline int emulated_mm512_reduce_add_epi32(__m512i values) {
    simde__m512i_private from = simde__m512i_to_private(values);
    uint32_t sum = 0;
    for (int lane = 0; lane < 16; ++lane) sum += from.u32[lane];
    return (int)sum;
}

#undef _mm256_maskz_loadu_epi8
#define _mm256_maskz_loadu_epi8 emulated_mm256_maskz_loadu_epi8
static inline __m256i emulated_mm256_maskz_loadu_epi8(uint32_t mask, const void* from) {
    simde__m256i_private bytes;
    for (int i = 0; i < 32; ++i) bytes.u8[i] = mask >> i & 1 ? ((const uint8_t*)from)[i] : 0;
    return simde__m256i_from_private(bytes);
}
