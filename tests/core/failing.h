// Memory that fails: each allocation of a call in turn.
//
// All that the core allocates comes from posix_memalign (its buffers) or operator new (containers), and goes by free or
// operator delete. This header replaces them in the program that includes it, which must be one file and linked with
// --wrap=posix_memalign and --wrap=free.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

#include "check.h"
#include "core/spare.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC sees free() for what came from operator new, and not that both are ours.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

extern "C" int __real_posix_memalign(void** memory, std::size_t alignment, std::size_t size);
extern "C" void __real_free(void* memory);

namespace test {

// One allocation that fails, or all from one on, as when there is no memory left.
enum class Lack { once, from_then_on };

namespace failing {

inline std::atomic<long> asked{0};  // allocations since arm()
inline std::atomic<long> first{0};  // the one that fails, from 1 on; 0: none does
inline std::atomic<bool> all_after{false};
inline std::atomic<long> failed{0};
inline std::atomic<long> live{0};  // blocks that are not freed yet

inline bool fails() {
  const long at = first, now = ++asked;
  if (at == 0 || now < at || (now > at && !all_after)) return false;
  ++failed;
  return true;
}

inline void arm(long at, Lack lack) {
  asked = failed = 0;
  all_after = lack == Lack::from_then_on;
  first = at;
}

// How many have failed.
inline long disarm() {
  first = 0;
  return failed;
}

}  // namespace failing

// What a call is to be tried with. prepare() makes what it needs and cleanup() drops that; call() may throw
// std::bad_alloc. Then unchanged() says whether all is as before; done() whether the call's results are right, if it
// has managed without that memory.
struct Attempt {
  virtual ~Attempt() = default;
  virtual void prepare() {}
  virtual void call() = 0;
  virtual bool unchanged() { return true; }
  virtual bool done() { return true; }
  virtual void cleanup() {}
};

// Tries it with each allocation failing, until there is none left to fail; returns how many there were.
inline long try_each_allocation(Attempt& attempt, const std::string& what) {
  long most = 0;
  for (const Lack lack : {Lack::once, Lack::from_then_on})
    for (long at = 1;; ++at) {
      lstmfast::drop_spares();
      const long before = failing::live;
      attempt.prepare();
      lstmfast::drop_spares();
      bool thrown = false;
      failing::arm(at, lack);
      try {
        attempt.call();
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      const long failed = failing::disarm();
      const auto where = [&](const char* wrong) { return what + ", allocation " + std::to_string(at) + ": " + wrong; };
      CHECK(thrown ? attempt.unchanged() : attempt.done(), where(thrown ? "it threw, and is wrong" : "it is wrong"));
      CHECK(failed > 0 || !thrown, where("nothing failed, but it threw"));
      attempt.cleanup();
      lstmfast::drop_spares();
      const long after = failing::live;
      CHECK(after == before, where("blocks are left, ") + std::to_string(after - before));
      if (failed == 0) break;
      most = at;
    }
  return most;
}

}  // namespace test

extern "C" int __wrap_posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  if (test::failing::fails()) return 12;  // ENOMEM
  const int error = __real_posix_memalign(memory, alignment, size);
  if (error == 0) ++test::failing::live;
  return error;
}
extern "C" void __wrap_free(void* memory) {
  if (memory) --test::failing::live;
  __real_free(memory);
}
void* operator new(std::size_t size) {
  void* const memory = test::failing::fails() ? nullptr : std::malloc(size ? size : 1);
  if (!memory) throw std::bad_alloc();
  ++test::failing::live;
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
