// exp(x), the same on every processor and in NumPy: exponential.py reads the numbers of this file.
//
//   t = min(max(x * kLog2E, -kLargest), kLargest),  n = rint(t),  f = t - n
//   exp(x) = (((kC3 * f + kC2) * f + kC1) * f + 1) * 2^n
//
// The polynomial is minimax for 2^f on [-0.5, 0.5] with p(0) = 1. Its relative error is below 1.02e-4, which moves a
// sigmoid by less than 2.6e-5: a step of 8 bits is 150 times that, and one more degree would cost time. Rounding adds less
// than 1e-7 * |x|. 2^n goes into the exponent's bits: the product is a normal number for every n here.
#pragma once

namespace tiles {

constexpr float kLog2E = 0x1.715476p+0f;
constexpr float kLargest = 126.0f;
constexpr float kC1 = 0x1.62f5fcp-1f;
constexpr float kC2 = 0x1.f00c52p-3f;
constexpr float kC3 = 0x1.c2a20ep-5f;

}  // namespace tiles
