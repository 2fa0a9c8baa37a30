// A call forward: its passes in their order, their memory and their threads.
#include <algorithm>
#include <vector>

#include "core/buffer.h"
#include "core/forward_loop.h"
#include "core/packed.h"
#include "core/split.h"
#include "core/tape.h"
#include "core/team.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

// In inference a stack of layers takes turns over chunks of steps. What is between the layers is then small,
// however long the call, and in L2 when the next layer reads it; but a layer needs some steps to be worth its
// weights' way into the cache.
constexpr Index kChunkBytes = 256 * 1024;
constexpr Index kChunkSteps = 16;

template <class T>
Buffer<T> copy_or_zero(const T* from, Index count) {
  Buffer<T> copy(count);
  if (from)
    std::copy_n(from, count, copy.data());
  else
    copy.fill_zero();
  return copy;
}

// `tape` is null in inference.
template <class T>
class ForwardRun {
 public:
  using Packed = typename Network<T>::Packed;

  ForwardRun(const Packed& packed, const ForwardCall<T>& call, typename Tape<T>::Kept* tape)
      : packed_(packed), shape_(packed.shape), kernels_(*packed.kernels), call_(call), tape_(tape) {
    if (tape) make_tape();
    chunk_steps_ = call.steps;
    if (!tape && shape_.num_layers > 1 && shape_.directions == 1) {
      const Index step_bytes = std::max<Index>(call.rows * shape_.hidden_size * static_cast<Index>(sizeof(T)), 1);
      chunk_steps_ = std::min(std::max(kChunkBytes / step_bytes, kChunkSteps), call.steps);
    }
    // Between layers: one chunk of each of two that take turns; with two directions, which need all steps
    // of the layer before, y takes turns with one more of its size.
    const Index others = shape_.num_layers - 1;
    const Index between = tape ? 0 : std::min<Index>(others, shape_.directions == 1 ? 2 : 1);
    for (Index k = 0; k < between; ++k)
      between_[k] = Buffer<T>(checked_product({chunk_steps_, call.rows, shape_.directions, shape_.hidden_size}));
    descends_ = packed.next_descends.load(std::memory_order_relaxed);
    packed.next_descends.store(descends_ != (call.steps % 2 == 1), std::memory_order_relaxed);
  }

  void run() {
    if (call_.rows == 0) return;  // nothing to do, however many steps there are
    const PanelLayout& layout = packed_.forward.front().layout();
    const Index widest = std::max(shape_.input_size, shape_.layer_input(shape_.num_layers - 1));
    const Index step_terms = shape_.gates() * shape_.hidden_size * (widest + shape_.hidden_size);
    const LoopSize size = {call_.steps * shape_.num_layers,
                           call_.rows,
                           shape_.directions,
                           layout.panels(),
                           step_terms,
                           step_terms * static_cast<Index>(sizeof(T)),
                           kernels_.row_tile,
                           call_.steps * shape_.num_layers > 1};
    Team team(choose_split(size, get_num_threads()).threads(), is_brief(size.terms()));
    const Split split = choose_split(size, team.size());
    Meeting meeting(split);
    const Index merged = merged_room(split, layout);
    const Buffer<T> z(checked_product({merged, split.threads()}));
    const Index last_layer = shape_.num_layers - 1;
    team.run([&](int rank) {
      if (rank >= split.threads()) return;
      const Share share(split, rank, call_.rows, shape_.directions, layout.panels());
      for (Range steps = first_steps(); steps.size() > 0; steps = steps_after(steps)) {
        for (Index layer = 0; layer <= last_layer; ++layer) {
          for (Index d = share.directions.begin; d < share.directions.end; ++d)
            loop_of(layer, d).run(pass_at(layer, d, steps), share, meeting, z.data() + rank * merged);
          if (layer == last_layer && steps.end == call_.steps) break;
          meeting.after_layer();
          // Not before: h_n may be h0's memory, and with one step that is read by all until its end.
          for (Index d = share.directions.begin; d < share.directions.end; ++d)
            loop_of(layer, d).keep_last_state(pass_at(layer, d, steps), share.rows, share.panels);
        }
      }
    });
    if (call_.steps > 0)
      keep_last_state(last_layer, layout);
    else  // the state is handed through
      for (Index layer = 0; layer <= last_layer; ++layer) keep_last_state(layer, layout);
  }

 private:
  void keep_last_state(Index layer, const PanelLayout& layout) const {
    for (Index d = 0; d < shape_.directions; ++d)
      loop_of(layer, d).keep_last_state(pass_at(layer, d, last_steps()), {0, call_.rows}, {0, layout.panels()});
  }

  void make_tape() {
    const Index H = shape_.hidden_size, steps = call_.steps, rows = call_.rows;
    const bool memory = has_memory(shape_.cell);
    const Index state = checked_product({shape_.passes(), rows, H});
    tape_->h0 = copy_or_zero(call_.h0, state);
    if (memory) tape_->c0 = copy_or_zero(call_.c0, state);
    for (Index layer = 0; layer < shape_.num_layers - 1; ++layer)
      tape_->hidden.emplace_back(checked_product({steps, rows, shape_.directions, H}));
    for (Index p = 0; p < shape_.passes(); ++p) {
      tape_->gates.emplace_back(checked_product({steps, rows, shape_.gates(), H}));
      if (memory) tape_->c.emplace_back(checked_product({steps, rows, H}));
    }
  }

  Range first_steps() const { return {0, chunk_steps_}; }
  Range steps_after(const Range& steps) const { return {steps.end, std::min(steps.end + chunk_steps_, call_.steps)}; }
  Range last_steps() const {
    const Index chunks = chunk_steps_ ? (call_.steps + chunk_steps_ - 1) / chunk_steps_ : 1;
    return {(chunks - 1) * chunk_steps_, call_.steps};
  }

  ForwardLoop<T> loop_of(Index layer, Index direction) const {
    const auto p = static_cast<std::size_t>(layer * shape_.directions + direction);
    return {kernels_, shape_.cell, packed_.forward[p], shape_.hidden_size};
  }

  // Elements of z that a thread's merged input products take, at most.
  Index merged_room(const Split& split, const PanelLayout& layout) const {
    Index room = 0;
    for (int rank = 0; rank < split.threads(); ++rank) {
      const Share share(split, rank, call_.rows, shape_.directions, layout.panels());
      const Index rows = share.rows.size(), panels = share.panels.size();
      for (Index layer = 0; layer < shape_.num_layers; ++layer)
        room =
            std::max(room, loop_of(layer, 0).merged_steps(chunk_steps_, rows, panels) * rows * panels * layout.width());
    }
    return room;
  }

  // [steps, B, D*H] of a layer's outputs.
  Sequence<T> output_of(Index layer, const Range& steps) const {
    const Index features = shape_.directions * shape_.hidden_size;
    const Index after = shape_.num_layers - 1 - layer;
    if (after > 0 && tape_)
      return time_major(tape_->hidden[static_cast<std::size_t>(layer)].data(), call_.rows, features);
    if (after > 0 && shape_.directions == 1) return time_major(between_[layer % 2].data(), call_.rows, features);
    if (after % 2 == 1) return time_major(between_[0].data(), call_.rows, features);
    return call_.y.from(steps.begin, 0);
  }

  Pass<T> pass_at(Index layer, Index direction, const Range& steps) const {
    const Index H = shape_.hidden_size, rows = call_.rows;
    const Index p = layer * shape_.directions + direction;
    const Index state = p * rows * H;
    const bool first = steps.begin == 0;
    const StateView<T> zero = {packed_.zeros.data(), 0};
    Pass<T> pass = {};
    pass.order = {steps.size(), direction == 1};
    pass.descends = descends_ != (steps.begin % 2 == 1);
    pass.x = layer ? as_const(output_of(layer - 1, steps)) : call_.x.from(steps.begin, 0);
    pass.h = features_from(output_of(layer, steps), direction * H);
    pass.h_n = call_.h_n + state;
    pass.h0 = {pass.h_n, H};
    if (first) pass.h0 = call_.h0 ? StateView<T>{call_.h0 + state, H} : zero;
    if (has_memory(shape_.cell)) {
      pass.c_n = call_.c_n + state;
      pass.c = {pass.c_n, 0, H};
      pass.c0 = {pass.c_n, H};
      if (first) pass.c0 = call_.c0 ? StateView<T>{call_.c0 + state, H} : zero;
    }
    if (tape_) {
      const auto at = static_cast<std::size_t>(p);
      pass.gates = time_major(tape_->gates[at].data(), rows, shape_.gates() * H);
      if (has_memory(shape_.cell)) pass.c = time_major(tape_->c[at].data(), rows, H);
    }
    return pass;
  }

  const Packed& packed_;
  const NetworkShape& shape_;
  const KernelTable<T>& kernels_;
  const ForwardCall<T>& call_;
  typename Tape<T>::Kept* const tape_;
  Index chunk_steps_;
  bool descends_;
  Buffer<T> between_[2];
};

}  // namespace

template <class T>
void Network<T>::infer(const ForwardCall<T>& call) const {
  ForwardRun<T>(*packed_, call, nullptr).run();
}

template <class T>
std::unique_ptr<Tape<T>> Network<T>::forward(const ForwardCall<T>& call) const {
  auto kept = std::make_unique<typename Tape<T>::Kept>();
  kept->steps = call.steps;
  kept->rows = call.rows;
  kept->x = call.x;
  kept->y = as_const(call.y);
  ForwardRun<T>(*packed_, call, kept.get()).run();
  return std::make_unique<Tape<T>>(std::move(kept));
}

template void Network<float>::infer(const ForwardCall<float>&) const;
template void Network<double>::infer(const ForwardCall<double>&) const;
template std::unique_ptr<Tape<float>> Network<float>::forward(const ForwardCall<float>&) const;
template std::unique_ptr<Tape<double>> Network<double>::forward(const ForwardCall<double>&) const;

}  // namespace lstmfast
