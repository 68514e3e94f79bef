#include "../generic/kernel_set.h"
#include "../sets.h"
#include "isa.h"

namespace tiles {

extern const KernelSet kNeonDot = make_kernel_set<NeonDot>("neon_dot");

}  // namespace tiles
