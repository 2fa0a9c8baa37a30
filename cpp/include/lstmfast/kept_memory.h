// Memory for a tape that its caller keeps: like the core's own, it is kept for later calls when it is freed.
#pragma once

#include <memory>

#include "lstmfast/types.h"

namespace lstmfast {

class KeptMemory {
 public:
  // Uninitialised, aligned to 64 bytes. Throws std::bad_alloc.
  explicit KeptMemory(Index bytes);
  ~KeptMemory();
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;

  void* data() const;  // null for no bytes

 private:
  struct Block;
  std::unique_ptr<Block> block_;
};

// Bytes that nobody uses now and that are kept for later calls.
Index idle_bytes();

}  // namespace lstmfast
