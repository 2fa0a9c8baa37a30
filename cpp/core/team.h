// A team: threads of the process-wide pool, borrowed for one call.
#pragma once

namespace lstmfast {

class GuestTeam;

class Team {
 public:
  // Borrows up to `threads` threads, the caller's own included, but leaves one to each other call that is at work. When
  // one of them holds the pool, or no thread can be made, the team is the caller alone: results are the same. (Only
  // where a runtime lends threads, and then gives fewer than it said, and there is no memory for our own:
  // std::bad_alloc from run().) brief: the work takes less time than a sleeping thread needs to wake up. Then threads
  // are borrowed only while calls follow one another so closely that they are awake; a lone call is its caller's.
  explicit Team(int threads, bool brief = false);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  // Runs body(rank) for each rank below size(), rank 0 on this thread; returns when all are done.
  // The body must not throw: take memory before.
  // A rank whose thread, of our own, has not woken up when rank 0 is done is run by this thread after all: more
  // threads may be of no use but do no harm. (Where ranks wait for each other, all have woken up.)
  template <class Body>
  void run(Body&& body) {
    run_job([](void* context, int rank) noexcept { (*static_cast<Body*>(context))(rank); }, &body);
  }

  using Job = void (*)(void* context, int rank) noexcept;

 private:
  void run_job(Job job, void* context);

  int size_ = 1;
  bool holds_pool_ = false;
  // The threads are a runtime's (lstmfast/threads.h). The pool is held nevertheless: one call at a time.
  bool on_runtime_ = false;
  GuestTeam* guests_ = nullptr;  // likewise, of the work that this call is part of
  const bool brief_;
  bool is_counted_ = false;  // among the calls that several threads would be of use for
  int workers_to_wake_ = 0;  // at the end of brief work
};

}  // namespace lstmfast
