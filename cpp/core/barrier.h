// A barrier for threads that work in steps of a few microseconds: it spins, and yields when a partner is late.
#pragma once

#include <atomic>

#include "lstmfast/system.h"

namespace lstmfast {

// Tells the CPU that this is a waiting loop.
inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Until done(). With more threads than CPUs the one that is waited for may want this very CPU: it is handed over.
template <class Done>
inline void spin_until(const Done& done) {
  constexpr int patience = 4096;
  for (int spins = 0; !done(); ++spins) {
    if (spins < patience)
      spin_pause();
    else
      system::yield();
  }
}

class Barrier {
 public:
  explicit Barrier(int threads = 1) : threads_(threads) {}

  // Returns when all threads have called it; what each wrote before is then seen by all.
  void wait() {
    if (threads_ == 1) return;
    const unsigned phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      return;
    }
    spin_until([&] { return phase_.load(std::memory_order_acquire) != phase; });
  }

 private:
  const int threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<unsigned> phase_{0};
};

}  // namespace lstmfast
