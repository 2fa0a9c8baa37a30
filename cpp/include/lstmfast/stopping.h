// Calls that can be given up while they work: a program that is told to stop need not wait for them.
#pragma once

#include <chrono>
#include <exception>

#include "lstmfast/types.h"

namespace lstmfast {

// Multiply-adds of a call that is over in a microsecond or two: nobody hands a lock over for it, or asks in its midst.
inline constexpr Index kShortCall = 50'000;

// What a call throws that was given up. Its results are then anything; states that it was to replace in their place
// (h_n where h0 is, c_n where c0 is) are as they were before.
struct GivenUp : std::exception {
  const char* what() const noexcept override { return "the call was given up"; }
};

// While it lives, calls of this thread ask now and then whether they are to go on, always on this thread; and give up
// once they hear that they are not. Between steps alone: one step is never left in its middle. Whoever answers may make
// calls, which ask nobody, or whom they have been given for themselves.
class AskedToGoOn {
 public:
  using GoesOn = bool (*)(void* context) noexcept;
  struct Patience {
    std::chrono::nanoseconds pause = std::chrono::milliseconds(200);  // between two questions, and before the first
    Index terms = Index(1) << 24;  // multiply-adds between two looks at the clock; calls of fewer do not ask
  };

  AskedToGoOn(GoesOn goes_on, void* context) : AskedToGoOn(goes_on, context, Patience()) {}
  AskedToGoOn(GoesOn goes_on, void* context, const Patience& patience);
  ~AskedToGoOn();
  AskedToGoOn(const AskedToGoOn&) = delete;
  AskedToGoOn& operator=(const AskedToGoOn&) = delete;

  // For the core: that of this thread's calls, null for none.
  static const AskedToGoOn* here();
  bool ask() const noexcept;
  const Patience& patience() const { return patience_; }

 private:
  const GoesOn goes_on_;
  void* const context_;
  const Patience patience_;
  const AskedToGoOn* const outer_;  // of a call in whose midst this one is made
};

}  // namespace lstmfast
