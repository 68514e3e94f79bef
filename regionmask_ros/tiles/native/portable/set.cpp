#include "../generic/kernel_set.h"
#include "../sets.h"
#include "isa.h"

namespace tiles {

extern const KernelSet kPortable = make_kernel_set<Portable>("portable");

}  // namespace tiles
