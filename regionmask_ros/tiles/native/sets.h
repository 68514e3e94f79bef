// The kernel sets that were compiled into this library.
#pragma once

#include "kernels.h"

namespace tiles {

extern const KernelSet kPortable;
#if defined(__x86_64__)
extern const KernelSet kAvx2;
extern const KernelSet kAvxVnni;
extern const KernelSet kAvx512Vnni;
extern const KernelSet kAmxInt8;
#elif defined(__aarch64__)
extern const KernelSet kNeonDot;
#endif

}  // namespace tiles
