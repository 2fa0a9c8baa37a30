// How many threads a call may use, and whose. More than asked for is never used; fewer may be.
#pragma once

namespace lstmfast {

void set_num_threads(int threads);  // >= 1
int get_num_threads();

// For tests that count threads: whether calls use as many where other processes want the same CPUs as elsewhere.
// Otherwise they run on their caller's thread for a while when more have shown to be slower (core/crowding.h).
void ignore_crowding(bool ignore);

// The four functions of an OpenMP runtime that it takes to run something on its threads.
struct OpenMpRuntime {
  void (*parallel)(void (*body)(void*), void* context, unsigned threads, unsigned flags);  // GOMP_parallel
  int (*thread_number)();                                                                  // omp_get_thread_num
  int (*team_size)();                                                                      // omp_get_num_threads
  int (*in_parallel)();                                                                    // omp_in_parallel
};

// Hands over a runtime whose threads calls with BorrowedThreads use from now on, in place of the core's own. It must
// stay loaded. In a child after fork its threads are not there, and the core's own are used.
void lend_threads(const OpenMpRuntime& runtime);

// While it lives, calls of this thread belong to a program whose other work runs on the runtime's threads: they use
// those, and no more than `threads` of them. Its threads spin after their work, and ours would have to share CPUs with
// them. 0: an ordinary call, on the core's own threads.
class BorrowedThreads {
 public:
  explicit BorrowedThreads(int threads);
  ~BorrowedThreads();
  BorrowedThreads(const BorrowedThreads&) = delete;
  BorrowedThreads& operator=(const BorrowedThreads&) = delete;
};

}  // namespace lstmfast
