#include "dispatch/cpu.h"

#if defined(LSTMFAST_X86)
#include <cpuid.h>

#include <cstdint>
#endif

namespace lstmfast {

#if defined(LSTMFAST_X86)
namespace {

struct Registers {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);  // leaves zeros for an unknown leaf
  return r;
}

// Which register files the OS saves when it switches threads.
std::uint32_t xcr0() {
  std::uint32_t eax = 0, edx = 0;
  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return eax;
}

constexpr bool has(std::uint32_t bits, std::uint32_t wanted) { return (bits & wanted) == wanted; }

}  // namespace

// Bit numbers: Intel SDM volume 2, CPUID; volume 1, 13.2 for XCR0.
CpuFeatures detect_cpu() {
  constexpr std::uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
  constexpr std::uint32_t avx2 = 1u << 5;
  constexpr std::uint32_t avx512 = 1u << 16 /* F */ | 1u << 17 /* DQ */ | 1u << 30 /* BW */ | 1u << 31 /* VL */;
  constexpr std::uint32_t avx512_vnni = 1u << 11;
  constexpr std::uint32_t amx_int8 = 1u << 24 /* TILE */ | 1u << 25 /* INT8 */;
  constexpr std::uint32_t ymm_saved = 0x6, zmm_saved = 0xe6, tiles_saved = 0x600e6;

  CpuFeatures found;
  const Registers basic = cpuid(1, 0);
  if (!has(basic.ecx, osxsave | avx)) return found;
  const std::uint32_t saved = xcr0();
  if (!has(saved, ymm_saved)) return found;
  const Registers extended = cpuid(7, 0);
  found.fma = has(basic.ecx, fma);
  found.avx2 = found.fma && has(basic.ecx, f16c) && has(extended.ebx, avx2);
  found.avx512 = found.avx2 && has(saved, zmm_saved) && has(extended.ebx, avx512);
  found.avx512_vnni = found.avx512 && has(extended.ecx, avx512_vnni);
  found.amx_int8 = found.avx512_vnni && has(saved, tiles_saved) && has(extended.edx, amx_int8);
  return found;
}

#else

CpuFeatures detect_cpu() { return {}; }

#endif

}  // namespace lstmfast
