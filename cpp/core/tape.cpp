#include "core/tape.h"

namespace lstmfast {

template <class T>
TapeLayout<T>::TapeLayout(const NetworkShape& shape, Index places, Index rows, const TrainingOptions<T>& options)
    : gates_are(!reads_gates(shape.cell) ? GatesAre::not_read
                : options.recompute      ? GatesAre::made_anew
                                         : GatesAre::kept) {
  const Index H = shape.hidden_size, S = shape.state_size();
  const bool memory = has_memory(shape.cell);
  for (Index layer = 0; layer < shape.num_layers - 1; ++layer) {
    hidden.push_back(take({places, shape.directions, S}));
    if (options.masks) dropped.push_back(take({places, shape.directions, S}));
  }
  for (Index pass = 0; pass < shape.passes(); ++pass) {
    if (gates_are == GatesAre::kept) gates.push_back(take({places, kept_of(shape.cell), H}));
    if (memory) c.push_back(take({places, H}));
  }
  h0 = take({shape.passes(), rows, S});
  c0 = take({memory ? shape.passes() : 0, rows, H});
  cut_h = take({shape.passes(), options.cut_rows, S});
  cut_c = take({memory ? shape.passes() : 0, options.cut_rows, H});
}

template <class T>
Index TapeLayout<T>::take(std::initializer_list<Index> sizes) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  const Index begin = count, numbers = checked_product(sizes);
  if (__builtin_add_overflow(begin, numbers, &count) || __builtin_add_overflow(count, line - 1, &count))
    throw std::bad_alloc();
  count = count / line * line;
  gaps.push_back({begin + numbers, count});
  return begin;
}

namespace {

template <class T>
TrainingOptions<T> with_what_applies(const NetworkShape& shape, TrainingOptions<T> options, Index cut_rows) {
  options.cut_rows = cut_rows;
  if (shape.num_layers == 1) options.masks = nullptr;  // there is nothing between layers
  return options;
}

}  // namespace

template <class T>
Tape<T>::Kept::Kept(const NetworkShape& shape, const ForwardCall<T>& call, const TrainingOptions<T>& training,
                    T* memory)
    : steps(call.steps),
      rows(call.rows),
      plan(call.steps, call.rows, call.times),
      options(with_what_applies(shape, training, call.cut.rows)),
      layout(shape, plan.stored(call.steps, call.rows), call.rows, options),
      x(packed_by(plan.rows_before(), call.x)),
      y(packed_by(plan.rows_before(), as_const(call.y))),
      own_(memory ? 0 : layout.count),
      block_(memory ? memory : own_.data()) {}

template <class T>
Tape<T>::Tape(const NetworkShape& shape, const ForwardCall<T>& call, const TrainingOptions<T>& options, T* memory)
    : kept_(std::make_unique<Kept>(shape, call, options, memory)) {}

template <class T>
Tape<T>::~Tape() = default;

template <class T>
Index Tape<T>::numbers(const NetworkShape& shape, Index places, Index rows, const TrainingOptions<T>& options) {
  return TapeLayout<T>(shape, places, rows, with_what_applies(shape, options, options.cut_rows)).count;
}

template <class T>
Index Tape<T>::steps() const {
  return kept_->steps;
}

template <class T>
Index Tape<T>::rows() const {
  return kept_->rows;
}

template <class T>
Index Tape<T>::places() const {
  return kept_->plan.stored(kept_->steps, kept_->rows);
}

template <class T>
Index Tape<T>::bytes() const {
  return kept_->layout.count * static_cast<Index>(sizeof(T)) + kept_->plan.bytes();
}

template class Tape<float>;
template class Tape<double>;

}  // namespace lstmfast
