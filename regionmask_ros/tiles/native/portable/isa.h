// Any processor: vectors of four, which the compiler maps to what there is. This file and generic/rounding.h are also the
// list of what an `Isa` must have.
#pragma once

#include "../generic/rounding.h"

namespace tiles {

typedef int32_t Int4 __attribute__((vector_size(16)));
typedef float Float4 __attribute__((vector_size(16)));

struct Portable : Rounding<Portable, Float4, Int4> {
    typedef Int4 Int;
    typedef Float4 Float;
    typedef uint8_t Bytes __attribute__((vector_size(16)));
    static constexpr int lanes = 4;     // int32 or float values of a vector
    static constexpr int group = 1;     // neighboring values that one instruction multiplies and adds
    static constexpr int pixels = 2;    // a product keeps the sums of so many pixels ...
    static constexpr int strips = 4;    // ... times so many vectors of channels in registers
    static constexpr int gathered = 8;  // values that `gather` writes
    static constexpr int narrowed = 4;  // vectors that `narrow` takes

    // A panel's values are the pixel's, minus panel_shift, as `dot` wants them; weights are int8, widened likewise.
    using Panel = uint8_t;
    using Weight = int32_t;
    using Weights = Int;
    static constexpr int32_t panel_shift = 0;

    TILES_INLINE void gather(const uint8_t* from, Panel* to) { __builtin_memcpy(to, from, gathered); }

    // A group of values in every lane.
    TILES_INLINE Int broadcast(const Panel* values) { return Int{} + (int32_t)*values; }

    // Groups of values of neighboring rows, each lane its own channel: for channel c of the vector,
    // row[0][c], row[1][c], ... up to row[group - 1][c]. There are `rows` of them; others may be anything.
    TILES_INLINE Int interleave(const uint8_t* row, int64_t, int) { return widen(row); }

    // In each lane, sum + the products of the group's values with their weights.
    TILES_INLINE Int dot(Int sum, Int values, Weights weights) { return sum + values * weights; }

    TILES_INLINE Int widen(const uint8_t* from) { return Int{from[0], from[1], from[2], from[3]}; }

    // In each lane, the sum of the squares of two differences of bytes; any two bytes of the 2 * lanes.
    TILES_INLINE Int squares(const uint8_t* a, const uint8_t* b) {
        const Int low = widen(a) - widen(b), high = widen(a + lanes) - widen(b + lanes);
        return low * low + high * high;
    }

    TILES_INLINE Float splat(float value) { return Float{} + value; }
    TILES_INLINE Float to_float(Int value) { return __builtin_convertvector(value, Float); }

    TILES_INLINE Float if_positive(Float y, Float yes, Float no) { return y > splat(0.0f) ? yes : no; }
    TILES_INLINE Float max(Float a, Float b) { return a > b ? a : b; }
    TILES_INLINE Float min(Float a, Float b) { return a < b ? a : b; }

    // rint(min(value, 255)), which `narrow` limits to 0 ... 255. Adding 1.5 * 2^23 rounds half to even.
    TILES_INLINE Int rint_up_to_255(Float value) {
        const Float round = splat(0x1.8p23f), clamped = min(max(value, splat(0.0f)), splat(255.0f));
        return (Int)(clamped + round) - (Int)round;
    }

    // The values as bytes, in order.
    TILES_INLINE Bytes narrow(const Int (&values)[narrowed]) {
        Bytes bytes;
        for (int i = 0; i < narrowed * lanes; ++i) bytes[i] = (uint8_t)values[i / lanes][i % lanes];
        return bytes;
    }
};

}  // namespace tiles
