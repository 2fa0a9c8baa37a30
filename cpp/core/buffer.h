// Memory of the core: aligned to a cache line (large memory to a large page), freed with its owner.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>

#include "core/spare.h"
#include "lstmfast/system.h"
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
    const Index bytes = checked_product({count, static_cast<Index>(sizeof(T))});
    if (bytes > std::numeric_limits<Index>::max() - kLargePage) throw std::bad_alloc();
    Index capacity = (bytes + kLine - 1) / kLine * kLine;
    void* memory = capacity < kLeastSpareBytes ? nullptr : take_spare(capacity, capacity);
    if (!memory) memory = fresh(capacity);
    memory_ = std::unique_ptr<T, Free>(static_cast<T*>(memory), Free{capacity});
  }

  T* data() const { return memory_.get(); }
  // Of what was asked for; memory that was kept from another buffer may be an eighth larger.
  Index bytes() const { return count_ * static_cast<Index>(sizeof(T)); }
  void fill_zero() {
    for (Index k = 0; k < count_; ++k) memory_.get()[k] = T(0);
  }

 private:
  static constexpr Index kLine = 64;
  static constexpr Index kLargePage = Index(2) << 20;

  static void* fresh(Index bytes) {
    const Index alignment = bytes < kLargePage ? kLine : kLargePage;
    void* const memory = system::allocate(static_cast<std::size_t>(alignment), static_cast<std::size_t>(bytes));
    if (!memory) throw std::bad_alloc();
    // Weights of megabytes are read once a step: with 4 KiB pages, 3 to 17 % of that time goes to finding them.
    // Only whole large pages are made, so no more memory is taken.
    if (alignment == kLargePage) system::prefer_large_pages(memory, static_cast<std::size_t>(bytes));
    return memory;
  }

  struct Free {
    Index capacity = 0;  // bytes
    void operator()(T* p) const {
      if (capacity < kLeastSpareBytes)
        system::release(p);
      else
        keep_spare(p, capacity);
    }
  };
  std::unique_ptr<T, Free> memory_;
  Index count_ = 0;
};

}  // namespace lstmfast
