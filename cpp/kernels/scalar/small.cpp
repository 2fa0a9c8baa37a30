// Scalar kernels for weights smaller than float. See vec.h for why there are two builds of this file.
#include "lstmfast/kernels.h"

#include "kernels/generic/small_tables.h"
#include "kernels/scalar/int8.h"

namespace lstmfast {

#ifdef LSTMFAST_SCALAR_FMA
extern constexpr KernelTable<float> kScalarFmaF16 = make_half_table<F32, Float16, 3>("scalar");
extern constexpr KernelTable<float> kScalarFmaBF16 = make_half_table<F32, BFloat16, 3>("scalar");
extern constexpr KernelTable<float> kScalarFmaI8 = make_int8_table<F32, Pairs, 3>("scalar");
#else
extern constexpr KernelTable<float> kScalarF16 = make_half_table<F32, Float16, 3>("scalar");
extern constexpr KernelTable<float> kScalarBF16 = make_half_table<F32, BFloat16, 3>("scalar");
extern constexpr KernelTable<float> kScalarI8 = make_int8_table<F32, Pairs, 3>("scalar");
#endif

}  // namespace lstmfast
