// Whether two kernel sets multiply alike, here and now.
#pragma once

#include <initializer_list>

#include "kernels.h"

namespace tiles {

// Compares one small product, float for float. Its sums are exact in float32.
inline bool multiply_alike(const KernelSet& first, const KernelSet& second) {
    constexpr int kPixels = 37, kRuns = 3, kRunLength = 47, k = kRuns * kRunLength, kChannels = 41, kPitch = 48;
    constexpr int kBytes = 20000;
    uint8_t image[2 * k + kReadSlack];
    int8_t weights[kChannels * k];
    int32_t offset[kChannels];
    const uint8_t* pixels[kPixels];
    const int32_t run_offset[kRuns] = {k, 0, kRunLength};
    uint32_t state = 1;
    const auto draw = [&] { return (state = state * 1664525u + 1013904223u) >> 24; };
    for (uint8_t& value : image) value = (uint8_t)draw();
    for (int8_t& value : weights) value = (int8_t)draw();
    for (int32_t& value : offset) value = (int32_t)(draw() << 8) - 30000;
    for (int p = 0; p < kPixels; ++p) pixels[p] = image + p;
    float one[kPitch], zero[kPitch] = {};
    for (float& value : one) value = 1.0f;
    const Epilogue epilogue = {one, zero, one, zero, kIdentity, 0.0f, 0.0f, nullptr};

    float out[2][kPixels * kPitch + kReadSlack];
    const KernelSet* sets[2] = {&first, &second};
    for (int i = 0; i < 2; ++i) {
        alignas(kAlignment) uint8_t panel[kBytes], packed[kBytes];
        const KernelSet& set = *sets[i];
        if (set.panel_bytes(kPixels, k) > kBytes || set.packed_weight_bytes(kChannels, k) > kBytes) return false;
        set.gather(pixels, kPixels, run_offset, kRuns, kRunLength, panel);
        set.pack_weights(weights, offset, kChannels, k, packed);
        // The second time fewer pixels than a vector or a tile has.
        for (int n : {kPixels, 5}) set.multiply_float(panel, n, k, packed, kChannels, &epilogue, out[i], kPitch);
    }
    for (int p = 0; p < kPixels; ++p)
        for (int c = 0; c < kChannels; ++c)
            if (out[0][p * kPitch + c] != out[1][p * kPitch + c]) return false;
    return true;
}

}  // namespace tiles
