// ARM with the dot product: vectors of four, and sdot, which multiplies four signed bytes with four signed ones and adds
// all to an int32. Values are made signed by subtracting 128; the offsets make up for it (see panel_shift).
#pragma once

#include <arm_neon.h>

#include "../generic/rounding.h"

namespace tiles {

typedef int32_t Int4 __attribute__((vector_size(16)));
typedef float Float4 __attribute__((vector_size(16)));

struct NeonDot : Rounding<NeonDot, Float4, Int4> {
    typedef Int4 Int;
    typedef Float4 Float;
    static constexpr int lanes = 4;
    static constexpr int group = 4;
    static constexpr int pixels = 5;  // 5 x 4 sums, 4 rows of weights and the values, of 32 registers
    static constexpr int strips = 4;
    static constexpr int gathered = 16;
    static constexpr int narrowed = 4;

    using Panel = int8_t;
    using Weight = int8_t;
    using Weights = int8x16_t;
    static constexpr int32_t panel_shift = 128;

    TILES_INLINE int8x16_t make_signed(uint8x16_t bytes) {
        return vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)));
    }

    TILES_INLINE void gather(const uint8_t* from, Panel* to) { vst1q_s8(to, make_signed(vld1q_u8(from))); }

    TILES_INLINE int8x16_t broadcast(const Panel* four) { return vreinterpretq_s8_s32(vdupq_n_s32(load<int32_t>(four))); }

    // Rows that are missing have zero weights: the first row stands in for them.
    TILES_INLINE int8x16_t interleave(const uint8_t* row, int64_t row_pitch, int rows) {
        auto read = [&](int y) __attribute__((always_inline)) {
            return vcreate_u8(load<uint32_t>(y < rows ? row + y * row_pitch : row));
        };
        const uint16x4_t upper = vreinterpret_u16_u8(vzip1_u8(read(0), read(1)));
        const uint16x4_t lower = vreinterpret_u16_u8(vzip1_u8(read(2), read(3)));
        const uint16x4x2_t words = vzip_u16(upper, lower);
        return make_signed(vreinterpretq_u8_u16(vcombine_u16(words.val[0], words.val[1])));
    }

    TILES_INLINE Int dot(Int sum, int8x16_t values, int8x16_t weights) {
        return (Int)vdotq_s32((int32x4_t)sum, values, weights);
    }

    TILES_INLINE Int widen(const uint8_t* from) {
        return (Int)vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(load<uint32_t>(from))))));
    }

    TILES_INLINE Int squares(const uint8_t* a, const uint8_t* b) {
        const uint8x8_t difference = vabd_u8(vld1_u8(a), vld1_u8(b));
        return (Int)vreinterpretq_s32_u32(vpaddlq_u16(vmull_u8(difference, difference)));
    }

    TILES_INLINE Float splat(float value) { return (Float)vdupq_n_f32(value); }
    TILES_INLINE Float to_float(Int value) { return (Float)vcvtq_f32_s32((int32x4_t)value); }

    TILES_INLINE Float if_positive(Float y, Float yes, Float no) {
        return (Float)vbslq_f32(vcgtzq_f32((float32x4_t)y), (float32x4_t)yes, (float32x4_t)no);
    }
    TILES_INLINE Float max(Float a, Float b) { return (Float)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
    TILES_INLINE Float min(Float a, Float b) { return (Float)vminq_f32((float32x4_t)a, (float32x4_t)b); }

    // Conversion to integers saturates, so that there is nothing to limit before it.
    TILES_INLINE Int rint_up_to_255(Float value) { return (Int)vcvtnq_s32_f32((float32x4_t)value); }

    TILES_INLINE uint8x16_t narrow(const Int (&values)[narrowed]) {
        auto halve = [](Int low, Int high) __attribute__((always_inline)) {
            return vcombine_u16(vqmovun_s32((int32x4_t)low), vqmovun_s32((int32x4_t)high));
        };
        return vcombine_u8(vqmovn_u16(halve(values[0], values[1])), vqmovn_u16(halve(values[2], values[3])));
    }
};

}  // namespace tiles
