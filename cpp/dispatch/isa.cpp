#include "lstmfast/isa.h"

#include <stdexcept>

#include "dispatch/cpu.h"
#include "dispatch/tiles.h"
#include "lstmfast/kernels.h"

namespace lstmfast {
namespace {

// In order of speed. CONTRIBUTING.md says what else a new ISA needs.
std::vector<Isa> detect() {
  std::vector<Isa> found;
#if defined(LSTMFAST_X86)
  const CpuFeatures cpu = detect_cpu();
  if (cpu.avx512)
    found.push_back(
        {"avx512", &kAvx512F32, &kAvx512F64, &kAvx512F16, &kAvx512BF16, cpu.avx512_vnni ? &kAvx512VnniI8 : &kAvx512I8});
#if defined(LSTMFAST_AMX)
  if (cpu.amx_int8) found.back().i8_tiles = &kAvx512AmxI8;
#endif
  if (cpu.avx2) found.push_back({"avx2", &kAvx2F32, &kAvx2F64, &kAvx2F16, &kAvx2BF16, &kAvx2I8});
  // Two builds of one ISA: without FMA the results are right, but rounded differently.
  if (cpu.fma)
    found.push_back({"scalar", &kScalarFmaF32, &kScalarFmaF64, &kScalarFmaF16, &kScalarFmaBF16, &kScalarFmaI8});
  else
    found.push_back({"scalar", &kScalarF32, &kScalarF64, &kScalarF16, &kScalarBF16, &kScalarI8});
#else
#if defined(LSTMFAST_ARM64)
  found.push_back({"neon", &kNeonF32, &kNeonF64, &kNeonF16, &kNeonBF16, &kNeonI8});
#endif
  found.push_back({"scalar", &kScalarF32, &kScalarF64, &kScalarF16, &kScalarBF16, &kScalarI8});
#endif
  return found;
}

std::string names() {
  std::string list;
  for (const Isa& isa : available_isas()) list += (list.empty() ? "'" : ", '") + isa.name + "'";
  return list;
}

}  // namespace

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

const Isa& find_isa(const std::string& name) {
  for (const Isa& isa : available_isas())
    if (isa.name == name) return isa;
  throw std::invalid_argument("isa: expected one of " + names() + ", which this machine has, got '" + name + "'");
}

template <>
const KernelTable<float>& kernels<float>(const Isa& isa) {
  return *isa.f32;
}
template <>
const KernelTable<double>& kernels<double>(const Isa& isa) {
  return *isa.f64;
}

const KernelTable<float>& kernels(const Isa& isa, Weights weights) {
  switch (weights) {
    case Weights::float16: return *isa.f16;
    case Weights::bfloat16: return *isa.bf16;
    case Weights::int8: return isa.i8_tiles && tiles_granted() ? *isa.i8_tiles : *isa.i8;
    default: return *isa.f32;
  }
}

}  // namespace lstmfast
