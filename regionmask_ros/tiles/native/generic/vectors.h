// What a generic kernel needs of vectors. `Isa` is a struct that describes an instruction set; see portable/isa.h for
// the members that it must have. Its vectors are the compiler's vector types, so +, -, * and / work on them.
#pragma once

#include <cstdint>

#define TILES_INLINE static inline __attribute__((always_inline))

namespace tiles {

template <class Vector, class Element>
TILES_INLINE Vector load(const Element* from) {
    Vector value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

template <class Vector, class Element>
TILES_INLINE void store(Element* to, Vector value) {
    __builtin_memcpy(to, &value, sizeof value);
}

TILES_INLINE int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// A number as a type, to hand it to a generic lambda.
template <int value_>
struct Constant {
    static constexpr int value = value_;
};

TILES_INLINE int smaller(int a, int b) { return a < b ? a : b; }

}  // namespace tiles
