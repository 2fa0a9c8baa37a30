#include "lstmfast/kept_memory.h"

#include "core/buffer.h"

namespace lstmfast {

struct KeptMemory::Block {
  Buffer<unsigned char> bytes;
};

KeptMemory::KeptMemory(Index bytes) : block_(new Block{Buffer<unsigned char>(bytes)}) {}
KeptMemory::~KeptMemory() = default;

void* KeptMemory::data() const { return block_->bytes.data(); }

Index idle_bytes() { return spare_bytes(); }

}  // namespace lstmfast
