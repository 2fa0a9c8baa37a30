// NEON kernels: the generic ones over this folder's vectors, with tiles of 6 rows.
#if !defined(__aarch64__)
#error "NEON kernels are for AArch64"
#endif
#include "lstmfast/kernels.h"

#include "kernels/generic/table.h"
#include "kernels/neon/vec.h"

namespace lstmfast {

extern constexpr KernelTable<float> kNeonF32 = make_table<F32, 6>("neon");
extern constexpr KernelTable<double> kNeonF64 = make_table<F64, 6>("neon");

}  // namespace lstmfast
