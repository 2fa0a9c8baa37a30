// Streams: states that stay from call to call, each call adding one time step to some of them or several to all.
//
// Steps are those of Network::infer, bit for bit. Nothing here knows Python.
#pragma once

#include "lstmfast/network.h"

namespace lstmfast {

// One time step of n streams.
template <class T>
struct StreamStep {
  Index rows;          // n
  const Index* slots;  // [n], whose steps they are, each once; null: of all N streams in their order
  const T* x;          // [n, I]
  T* y;                // [n, S]; shares memory with nothing else
};

// The states of N streams, slots 0 to N-1, of networks of one shape with one direction. What a step needs besides is
// taken when the object is made: step() takes no memory (threads apart, which the process makes when they are first of
// use) and no lock. One thread at a time may use an object.
template <class T>
class Streams {
 public:
  // States are not set yet. Throws std::bad_alloc.
  Streams(const NetworkShape& shape, Index count);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  const NetworkShape& shape() const;
  Index count() const;  // N
  Index bytes() const;  // held

  // `network` is of this shape.
  void step(const Network<T>& network, const StreamStep<T>& call);
  // x [T, N, I], y [T, N, S], of all streams. Takes scratch as Network::infer does, and throws std::bad_alloc before
  // anything has changed.
  void run(const Network<T>& network, Index steps, const Sequence<const T>& x, const Sequence<T>& y);

  // States of the streams in n slots, all N in their order where slots is null. h [L, n, S], c [L, n, H]; where one is
  // null it is not read, and zero is written. c is unused by cells without memory.
  void read(const Index* slots, Index n, T* h, T* c) const;
  void write(const Index* slots, Index n, const T* h, const T* c);

  // To N = count, which is not less; slots stay as they are, new ones are not set yet. Throws std::bad_alloc before
  // anything has changed.
  void grow(Index count);

 private:
  struct Kept;
  std::unique_ptr<Kept> kept_;
};

}  // namespace lstmfast
