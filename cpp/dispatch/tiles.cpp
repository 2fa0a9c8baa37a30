#include "dispatch/tiles.h"

#include "dispatch/cpu.h"
#include "lstmfast/system.h"

namespace lstmfast {

bool tiles_granted() {
  static const bool granted = detect_cpu().amx_int8 && system::grants_tiles();
  return granted;
}

}  // namespace lstmfast
