// The kernel sets that were compiled into this library.
#pragma once

#include "kernels.h"

namespace tiles {

extern const KernelSet kPortable;
#if defined(__x86_64__)
extern const KernelSet kAvx2;
#endif

}  // namespace tiles
