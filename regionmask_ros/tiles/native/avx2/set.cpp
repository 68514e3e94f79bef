#include "../generic/kernel_set.h"
#include "../sets.h"
#include "isa.h"

namespace tiles {

extern const KernelSet kAvx2 = make_kernel_set<Avx2>("avx2");

}  // namespace tiles
