#include "../generic/kernel_set.h"
#include "../sets.h"
#include "isa.h"

namespace tiles {

extern const KernelSet kAvxVnni = make_kernel_set<AvxVnni>("avx_vnni");

}  // namespace tiles
