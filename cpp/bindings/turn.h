// One thread at a time in an object, without a lock that anybody waits for.
#pragma once

#include <atomic>
#include <stdexcept>

#include "lstmfast/system.h"

namespace lstmfast::bindings {

// How many forks lie between this process and the one that loaded the module, plus 1.
inline std::atomic<unsigned>& process_generation() {
  static std::atomic<unsigned> generation{1};
  static const bool registered = system::in_children([] { ++generation; });
  static_cast<void>(registered);  // where it could not be, a fork in the midst of a turn leaves the object taken
  return generation;
}

// Whose turn it is: 0 is nobody's. A turn of a thread that a fork has left behind in the parent is over in the child.
class Turns {
 public:
  bool take() {
    const unsigned now = process_generation().load(std::memory_order_relaxed);
    return taken_.exchange(now, std::memory_order_acquire) != now;
  }
  void give_back() { taken_.store(0, std::memory_order_release); }

 private:
  std::atomic<unsigned> taken_{0};
};

// Holds a turn for a scope; std::runtime_error (RuntimeError in Python) when another thread has it.
class Turn {
 public:
  explicit Turn(Turns& turns) : turns_(turns) {
    if (!turns.take())
      throw std::runtime_error("another thread is using this object: it serves one at a time, give each its own");
  }
  ~Turn() { turns_.give_back(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Turns& turns_;
};

}  // namespace lstmfast::bindings
