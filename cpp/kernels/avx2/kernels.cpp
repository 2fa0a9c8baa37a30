// AVX2 kernels: the generic ones over this folder's vectors, with tiles of 6 rows.
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma"
#endif
#include "lstmfast/kernels.h"

#include "kernels/avx2/vec.h"
#include "kernels/generic/table.h"

namespace lstmfast {

extern constexpr KernelTable<float> kAvx2F32 = make_table<F32, 6>("avx2");
extern constexpr KernelTable<double> kAvx2F64 = make_table<F64, 6>("avx2");

}  // namespace lstmfast
