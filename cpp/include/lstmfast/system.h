// What POSIX and Windows call by different names. Nothing else in the core knows which of the two it is on.
#pragma once

#include <stdlib.h>  // posix_memalign

#include <chrono>
#include <cstddef>
#include <thread>

#if defined(_WIN32)
#include <malloc.h>  // _aligned_malloc
#else
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace lstmfast::system {

// Uninitialised, null where there is none. Sizes need not be multiples of the alignment, as aligned_alloc wants them.
inline void* allocate(std::size_t alignment, std::size_t bytes) {
#if defined(_WIN32)
  return _aligned_malloc(bytes, alignment);
#else
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
#endif
}

// Of `allocate` alone.
inline void release(void* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  free(memory);
#endif
}

// Asks for large pages where the system makes them on demand; where it does not, nothing happens.
inline void prefer_large_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(__linux__)
  madvise(memory, bytes, MADV_HUGEPAGE);
#endif
}

// Asks for AMX's tiles, for all threads of this process: Documentation/arch/x86/xstate.rst of Linux. Refused by a
// kernel that knows none, by a filter of system calls, and where a thread's alternative stack for signals is too small
// for them. Elsewhere nobody is asked, and none are used.
inline bool grants_tiles() {
#if defined(__linux__) && defined(LSTMFAST_X86)
  constexpr long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

// Hands this CPU over to a thread that waits for one.
inline void yield() {
#if defined(_WIN32)
  std::this_thread::yield();
#else
  sched_yield();
#endif
}

// The CPU time of this thread alone. Windows counts it in ticks of 15 ms, which say nothing of a millisecond.
#if defined(_WIN32)
inline constexpr bool kThreadsHaveClocks = false;
inline std::chrono::nanoseconds thread_time() { return {}; }
#else
inline constexpr bool kThreadsHaveClocks = true;
inline std::chrono::nanoseconds thread_time() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}
#endif

// Has a child call `forget` after each fork from now on; false where that cannot be. Windows has no fork.
inline bool in_children([[maybe_unused]] void (*forget)()) {
#if defined(_WIN32)
  return true;
#else
  return pthread_atfork(nullptr, nullptr, forget) == 0;
#endif
}

// While it lives, threads that are made get no signals: these are for the application's. Windows sends none to threads.
class WithoutSignals {
 public:
#if defined(_WIN32)
  WithoutSignals() {}  // not the default one, or the variable would count as unused
#else
  WithoutSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
#endif
  WithoutSignals(const WithoutSignals&) = delete;
  WithoutSignals& operator=(const WithoutSignals&) = delete;

#if !defined(_WIN32)
 private:
  sigset_t before_;
#endif
};

}  // namespace lstmfast::system
