// States that a call replaces in their place, as they were before it: for a call that is given up.
#pragma once

#include <algorithm>

#include "core/buffer.h"
#include "lstmfast/network.h"

namespace lstmfast {

template <class T>
class ReplacedStates {
 public:
  ReplacedStates(const NetworkShape& shape, const ForwardCall<T>& call)
      : h_(call.h0, call.h_n, shape.passes() * call.rows * shape.state_size()),
        c_(call.c0, call.c_n, shape.passes() * call.rows * shape.hidden_size) {}

  void put_back() const {
    h_.put_back();
    c_.put_back();
  }

 private:
  struct Half {
    T* const to;
    const Index count;  // 0 where the state goes to another array than it comes from
    const Buffer<T> kept;

    Half(const T* from, T* to_given, Index numbers)
        : to(to_given), count(from && from == to ? numbers : 0), kept(count) {
      if (count) std::copy_n(from, count, kept.data());
    }
    void put_back() const {
      if (count) std::copy_n(kept.data(), count, to);
    }
  };
  const Half h_, c_;
};

}  // namespace lstmfast
