// What the CPU can do and the OS lets it do.
#pragma once

namespace lstmfast {

struct CpuFeatures {
  bool fma = false;     // scalar VEX-coded fused multiply-add
  bool avx2 = false;    // with FMA and F16C
  bool avx512 = false;  // F, DQ, BW, VL
  bool avx512_vnni = false;
  bool amx_int8 = false;  // with AVX-512 and VNNI; the OS is still to be asked (dispatch/tiles.h)
};

CpuFeatures detect_cpu();

}  // namespace lstmfast
