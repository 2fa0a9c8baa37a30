// A team: threads of the process-wide pool, borrowed for one call.
#pragma once

#include "lstmfast/types.h"

namespace lstmfast {

class Team {
 public:
  // Borrows up to `threads` threads, the caller's own included. When another call holds the pool, or no
  // thread can be made, the team is the caller alone: results are the same.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  // Runs body(rank) for each rank below size(), rank 0 on this thread; returns when all are done.
  // The body must not throw: take memory before.
  template <class Body>
  void run(Body&& body) {
    run_job([](void* context, int rank) noexcept { (*static_cast<Body*>(context))(rank); }, &body);
  }

 private:
  using Job = void (*)(void* context, int rank) noexcept;
  void run_job(Job job, void* context);

  int size_ = 1;
  bool holds_pool_ = false;
};

// The part of `count` things that is `part` of `parts`: [begin, end).
struct Range {
  Index begin, end;
  Index size() const { return end - begin; }
};

inline Range share(Index count, Index part, Index parts) { return {count * part / parts, count * (part + 1) / parts}; }

}  // namespace lstmfast
