// Memory of the core: aligned to a cache line, freed with its owner.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>

#include "lstmfast/types.h"

namespace lstmfast {

// The product of sizes >= 0; std::bad_alloc where it does not fit, for then memory of that size cannot be had.
inline Index checked_product(std::initializer_list<Index> sizes) {
  Index product = 1;
  for (Index size : sizes)
    if (__builtin_mul_overflow(product, size, &product)) throw std::bad_alloc();
  return product;
}

template <class T>
class Buffer {
 public:
  Buffer() = default;
  // Uninitialised; null for none. Throws std::bad_alloc.
  explicit Buffer(Index count) : count_(count) {
    if (count == 0) return;
    constexpr Index line = 64;
    const Index bytes = checked_product({count, static_cast<Index>(sizeof(T))});
    if (bytes > std::numeric_limits<Index>::max() - line) throw std::bad_alloc();
    const Index whole_lines = (bytes + line - 1) / line * line;
    memory_.reset(static_cast<T*>(std::aligned_alloc(line, static_cast<std::size_t>(whole_lines))));
    if (!memory_) throw std::bad_alloc();
  }

  T* data() const { return memory_.get(); }
  Index bytes() const { return count_ * static_cast<Index>(sizeof(T)); }
  void fill_zero() {
    for (Index k = 0; k < count_; ++k) memory_.get()[k] = T(0);
  }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> memory_;
  Index count_ = 0;
};

}  // namespace lstmfast
