// The AVX-512 kernels for int8 weights on CPUs with VNNI: the same bits as without.
#if !defined(__AVX512F__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__) || !defined(__AVX512VNNI__)
#error "compile this file with -mavx512f -mavx512dq -mavx512vl -mavx512bw -mavx512vnni -mfma"
#endif
#include "lstmfast/kernels.h"

#include "kernels/avx512/vnni.h"
#include "kernels/generic/small_tables.h"

namespace lstmfast {

extern constexpr KernelTable<float> kAvx512VnniI8 = make_int8_table<F32, Quads, 6>("avx512");

}  // namespace lstmfast
