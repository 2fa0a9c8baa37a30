// Counts what a program takes from the heap.
//
// All that the core allocates comes from posix_memalign (its buffers) or operator new (containers). This header
// replaces both in the program that includes it, which must be one file.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "core/spare.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC sees free() for what came from operator new, and not that both are ours.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace test {

struct Taken {
  long allocations;
  std::size_t bytes;
};

namespace counting {

inline std::atomic<bool> on{false};
inline std::atomic<long> allocations{0};
inline std::atomic<std::size_t> bytes{0};
inline std::atomic<long> large{0};  // allocations that could have been spare memory

inline void* take(std::size_t alignment, std::size_t size) {
  if (on) {
    ++allocations;
    bytes += size;
    if (size >= static_cast<std::size_t>(lstmfast::kLeastSpareBytes)) ++large;
  }
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

}  // namespace counting

// What `work` takes, in all threads, with no spare memory left from before.
template <class Work>
Taken taken_by(Work&& work) {
  lstmfast::drop_spares();
  counting::allocations = 0;
  counting::bytes = 0;
  counting::on = true;
  work();
  counting::on = false;
  return {counting::allocations, counting::bytes};
}

}  // namespace test

extern "C" int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = test::counting::take(alignment, size);
  return *memory ? 0 : 12;  // ENOMEM
}
void* operator new(std::size_t size) {
  if (void* const memory = test::counting::take(alignof(std::max_align_t), size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
