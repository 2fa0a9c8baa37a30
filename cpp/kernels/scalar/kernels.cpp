// Scalar kernels: the generic ones over one lane. See vec.h for why there are two builds of this file.
#include "lstmfast/kernels.h"

#include "kernels/generic/table.h"
#include "kernels/scalar/vec.h"

namespace lstmfast {

#ifdef LSTMFAST_SCALAR_FMA
extern constexpr KernelTable<float> kScalarFmaF32 = make_table<F32, 3>("scalar");
extern constexpr KernelTable<double> kScalarFmaF64 = make_table<F64, 3>("scalar");
#else
extern constexpr KernelTable<float> kScalarF32 = make_table<F32, 3>("scalar");
extern constexpr KernelTable<double> kScalarF64 = make_table<F64, 3>("scalar");
#endif

}  // namespace lstmfast
