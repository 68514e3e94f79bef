// Rounding, clamping, powers of two and parts of vectors with nothing but additions, bits and copies: for sets without
// instructions for them.
#pragma once

#include "vectors.h"

namespace tiles {

// `Isa` is the set that inherits this, which has `min`, `max` and `splat`.
template <class Isa, class Float, class Int>
struct Rounding {
    // A whole number, and what 2^n adds to the bits of a float.
    struct Rounded {
        Float value;
        Int power;
    };

    // min(max(value, -largest), largest)
    TILES_INLINE Float clamp(Float value, float largest) {
        return Isa::min(Isa::max(value, Isa::splat(-largest)), Isa::splat(largest));
    }

    // Half to even. Adding 1.5 * 2^23 rounds, and leaves the integer in the lowest bits.
    TILES_INLINE Rounded rint(Float value) {
        const Float round = Isa::splat(0x1.8p23f), shifted = value + round;
        return {shifted - round, (Int)shifted << 23};
    }

    // value * 2^n, where both are normal numbers.
    TILES_INLINE Float times_power_of_two(Float value, Rounded n) { return (Float)((Int)value + n.power); }

    // a + b and a - b. Processors with units that only add, and others that multiply and add, have both at work if some
    // sums are made by the latter: a product by 1 is exact, so the result is the same.
    TILES_INLINE Float plus(Float a, Float b) { return a + b; }
    TILES_INLINE Float minus(Float a, Float b) { return a - b; }

    // `squares` of the first `bytes` bytes. Others are not read.
    TILES_INLINE Int squares_of_part(const uint8_t* a, const uint8_t* b, int bytes) {
        uint8_t part_of_a[2 * Isa::lanes] = {}, part_of_b[2 * Isa::lanes] = {};
        __builtin_memcpy(part_of_a, a, bytes);
        __builtin_memcpy(part_of_b, b, bytes);
        return Isa::squares(part_of_a, part_of_b);
    }

    // The sum of all lanes, as unsigned numbers, which fits 32 bits.
    TILES_INLINE uint32_t total(Int sums) {
        uint32_t sum = 0;
        for (int lane = 0; lane < Isa::lanes; ++lane) sum += (uint32_t)sums[lane];
        return sum;
    }
};

}  // namespace tiles
