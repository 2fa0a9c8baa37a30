// The caches of the machine, as far as it tells.
#pragma once

#include <string>

#include "lstmfast/types.h"

namespace lstmfast {

// What one core has or shares of data caches, in bytes; 0 where there is none, or nothing is known of it.
struct Caches {
  Index l1d = 0, l2 = 0, l3 = 0;

  // The last one before memory.
  constexpr Index last() const { return l3 ? l3 : l2; }
};

// Asked once, when it is first wanted: CPUID on x86, sysctl on macOS, sysfs on other Linux.
const Caches& caches();

// As Linux tells in a core's folder, /sys/devices/system/cpu/cpu0.
Caches caches_in_sysfs(const std::string& folder);

}  // namespace lstmfast
