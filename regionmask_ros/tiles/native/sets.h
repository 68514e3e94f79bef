// The kernel sets that were compiled into this library, the fastest last.
#pragma once

#include "kernels.h"

namespace tiles {

extern const KernelSet kPortable;

}  // namespace tiles
