// The AVX-512 kernels for int8 weights on CPUs with VNNI and AMX: the same bits as without.
// Clang called it __AMXINT8__ up to 16.
#if !defined(__AVX512F__) || !defined(__AVX512VNNI__) || !(defined(__AMX_INT8__) || defined(__AMXINT8__))
#error "compile this file with -mavx512f -mavx512dq -mavx512vl -mavx512bw -mavx512vnni -mfma -mamx-tile -mamx-int8"
#endif
#include "lstmfast/kernels.h"

#include "kernels/avx512/amx.h"
#include "kernels/generic/small_tables.h"

namespace lstmfast {

extern constexpr KernelTable<float> kAvx512AmxI8 = make_int8_table<F32, QuadsOrTiles, 6>("avx512");

}  // namespace lstmfast
