// exp(x), the same on every processor and in NumPy: exponential.py reads the numbers of this file.
//
//   t = min(max(x * kLog2E, -kLargest), kLargest),  n = rint(t),  f = t - n
//   exp(x) = ((((kC4 * f + kC3) * f + kC2) * f + kC1) * f + 1) * 2^n
//
// The polynomial is minimax for 2^f on [-0.5, 0.5] with p(0) = 1; its relative error is below 3.0e-6. Rounding adds less
// than 1e-7 * |x| to that. 2^n goes into the exponent's bits: the product is a normal number for every n here.
#pragma once

namespace tiles {

constexpr float kLog2E = 0x1.715476p+0f;
constexpr float kLargest = 126.0f;
constexpr float kC1 = 0x1.62e12cp-1f;
constexpr float kC2 = 0x1.ec0378p-3f;
constexpr float kC3 = 0x1.c9fc48p-5f;
constexpr float kC4 = 0x1.3a02d0p-7f;

}  // namespace tiles
