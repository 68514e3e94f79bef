#include "../generic/kernel_set.h"
#include "../sets.h"
#include "isa.h"

namespace tiles {

extern const KernelSet kAvx512Vnni = make_kernel_set<Avx512Vnni>("avx512_vnni");

}  // namespace tiles
