#include "lstmfast/caches.h"

#include <fstream>

#if defined(LSTMFAST_X86)
#include <cpuid.h>

#include <cstdint>
#elif defined(__APPLE__)
#include <sys/sysctl.h>

#include <cstdint>
#endif

namespace lstmfast {
namespace {

void set_level(Caches& found, int level, Index bytes) {
  if (level == 1) found.l1d = bytes;
  if (level == 2) found.l2 = bytes;
  if (level == 3) found.l3 = bytes;
}

#if defined(LSTMFAST_X86)

// A cache for each subleaf, until one without a type. Intel SDM volume 2, CPUID leaf 4; AMD's leaf is laid out alike.
Caches in_leaf(std::uint32_t leaf) {
  constexpr std::uint32_t none = 0, instructions = 2;
  Caches found;
  for (std::uint32_t k = 0; k < 16; ++k) {
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    __get_cpuid_count(leaf, k, &eax, &ebx, &ecx, &edx);  // leaves zeros for an unknown leaf
    const std::uint32_t type = eax & 0x1f;
    if (type == none) break;
    if (type == instructions) continue;
    const Index ways = (ebx >> 22) + 1, partitions = (ebx >> 12 & 0x3ff) + 1, line = (ebx & 0xfff) + 1;
    set_level(found, static_cast<int>(eax >> 5 & 7), ways * partitions * line * (Index(ecx) + 1));
  }
  return found;
}

Caches detect() {
  const Caches intel = in_leaf(4);  // zeros on AMD
  return intel.l1d ? intel : in_leaf(0x8000001d);
}

#elif defined(__APPLE__)

// Of the fast cores, where there are two kinds.
Index of_sysctl(const char* name) {
  std::int64_t bytes = 0;
  std::size_t size = sizeof bytes;
  const std::string fast = std::string("hw.perflevel0.") + name, all = std::string("hw.") + name;
  for (const std::string& key : {fast, all})
    if (sysctlbyname(key.c_str(), &bytes, &size, nullptr, 0) == 0 && bytes > 0) return static_cast<Index>(bytes);
  return 0;
}

Caches detect() { return {of_sysctl("l1dcachesize"), of_sysctl("l2cachesize"), of_sysctl("l3cachesize")}; }

#else

Caches detect() { return caches_in_sysfs("/sys/devices/system/cpu/cpu0"); }

#endif

}  // namespace

const Caches& caches() {
  static const Caches found = detect();
  return found;
}

Caches caches_in_sysfs(const std::string& folder) {
  Caches found;
  for (int k = 0; k < 16; ++k) {
    const std::string index = folder + "/cache/index" + std::to_string(k) + "/";
    int level = 0;
    std::string type, unit;
    Index size = 0;
    if (!(std::ifstream(index + "level") >> level && std::ifstream(index + "type") >> type)) break;
    std::ifstream(index + "size") >> size >> unit;  // "32K"
    if (type != "Instruction") set_level(found, level, unit == "M" ? size << 20 : unit == "K" ? size << 10 : size);
  }
  return found;
}

}  // namespace lstmfast
