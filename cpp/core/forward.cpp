// A call forward: its passes in their order, their memory and their threads.
#include <algorithm>
#include <optional>
#include <vector>

#include "core/buffer.h"
#include "core/float_environment.h"
#include "core/forward_loop.h"
#include "core/packed.h"
#include "core/planned_loop.h"
#include "core/replaced_states.h"
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
void copy_or_zero(const T* from, Index count, T* to) {
  if (from)
    std::copy_n(from, count, to);
  else
    std::fill_n(to, count, T(0));
}

// `tape` is null in inference.
template <class T>
class ForwardRun {
 public:
  using Packed = typename Network<T>::Packed;

  ForwardRun(const Packed& packed, const ForwardCall<T>& call, const typename Tape<T>::Kept* tape)
      : packed_(packed), shape_(packed.shape), kernels_(*packed.kernels), call_(call), tape_(tape) {
    if (!call.times.plain() && !tape) own_plan_ = RowPlan(call.steps, call.rows, call.times);
    if (tape) keep_initial_state();
    chunk_steps_ = call.steps;
    if (!tape && shape_.num_layers > 1 && shape_.directions == 1 && !shape_.reverse) {
      const Index step_bytes = std::max<Index>(call.rows * shape_.state_size() * static_cast<Index>(sizeof(T)), 1);
      chunk_steps_ = std::min(std::max(kChunkBytes / step_bytes, kChunkSteps), call.steps);
    }
    // Between layers: one chunk of each of two that take turns; with two directions, which need all steps
    // of the layer before, y takes turns with one more of its size.
    const Index others = shape_.num_layers - 1;
    const Index between = tape ? 0 : std::min<Index>(others, shape_.directions == 1 ? 2 : 1);
    for (Index k = 0; k < between; ++k)
      between_[k] = Buffer<T>(checked_product({chunk_steps_, call.rows, shape_.directions, shape_.state_size()}));
    descends_ = packed.next_descends.load(std::memory_order_relaxed);
    packed.next_descends.store(descends_ != (call.steps % 2 == 1), std::memory_order_relaxed);
  }

  void run() {
    if (call_.rows == 0) return;  // nothing to do, however many steps there are
    const PanelLayout& layout = packed_.forward.front().layout();
    const LoopSize size =
        forward_size(shape_, kernels_, layout, plan().places(call_.steps, call_.rows), call_.rows, call_.steps);
    Team team(choose_split(size, get_num_threads()).threads(), is_brief(size.terms()));
    const Split split = choose_split(size, team.size());
    Watch watch(size.terms());
    std::optional<ReplacedStates<T>> before;
    if (watch.or_null()) before.emplace(shape_, call_);
    Meeting meeting(split, watch.or_null());
    const Index merged = merged_room(split, layout);
    const Buffer<T> z(checked_product({merged * layout.width(), split.threads()}));
    const Index last_layer = shape_.num_layers - 1;
    std::vector<RowLists<T>> lists;  // of each thread
    if (!plan().plain())
      for (int rank = 0; rank < split.threads(); ++rank) {
        const Share share(split, rank, call_.rows, shape_.directions, layout.panels());
        lists.emplace_back(members_of(share).count(), merged_rows(share));
      }
    if (second_row(shape_)) make_room_for_m(split);
    team.run([&](int rank) {
      if (rank >= split.threads()) return;
      const Share share(split, rank, call_.rows, shape_.directions, layout.panels());
      const Members members = members_of(share);
      T* const own_z = z.data() + rank * merged * layout.width();
      for (Range steps = first_steps(); steps.size() > 0; steps = steps_after(steps)) {
        for (Index layer = 0; layer <= last_layer; ++layer) {
          for (Index d = share.directions.begin; d < share.directions.end; ++d) {
            const ForwardLoop<T> loop = loop_of(layer, d);
            if (plan().plain())
              loop.run(pass_at(layer, d, steps), share, meeting, own_z);
            else
              PlannedLoop<T>(loop, plan())
                  .run(pass_at(layer, d, steps), share, members, meeting, own_z, lists[static_cast<std::size_t>(rank)]);
          }
          if (layer == last_layer && steps.end == call_.steps) break;
          meeting.after_layer();
          // Not before: h_n may be h0's memory, and with one step that is read by all until its end.
          for (Index d = share.directions.begin; d < share.directions.end; ++d) {
            const ForwardLoop<T> loop = loop_of(layer, d);
            keep_last_state(loop, pass_at(layer, d, steps), share.rows, members, loop.state_columns(share),
                            loop.memory_columns(share));
          }
          if (layer < last_layer && tape_ && tape_->options.masks) {
            drop_out(layer, share, members);
            meeting.after_layer();
          }
        }
      }
      zero_past_the_ends(share, members);
    });
    if (watch.was_over()) {
      before->put_back();
      throw GivenUp();
    }
    if (call_.c.data && tape_) copy_memory();
    for (Index layer = call_.steps > 0 ? last_layer : 0; layer <= last_layer; ++layer)  // no steps hand it through
      for (Index d = 0; d < shape_.directions; ++d) {
        const Range rows = {0, call_.rows};
        keep_last_state(loop_of(layer, d), pass_at(layer, d, last_steps()), rows,
                        Members(plan(), rows, call_.rows, 0, 1), {0, shape_.state_size()}, {0, shape_.hidden_size});
      }
  }

 private:
  const RowPlan& plan() const { return tape_ ? tape_->plan : own_plan_; }

  void make_room_for_m(const Split& split) {
    const Index rows_of_part = (call_.rows + split.row_parts - 1) / split.row_parts;
    m_part_ = odd_lines<T>(checked_product({rows_of_part, second_row(shape_)}));
    m_direction_ = split.row_parts * m_part_;
    m_ = Buffer<T>(checked_product({shape_.directions, m_direction_}));
  }

  Members members_of(const Share& share) const {
    return {plan(), share.rows, call_.rows, share.row_part, share.row_parts};
  }

  void keep_last_state(const ForwardLoop<T>& loop, const Pass<T>& pass, const Range& rows, const Members& members,
                       const Range& of_h, const Range& of_c) const {
    if (plan().plain())
      loop.keep_last_state(pass, rows, of_h, of_c);
    else
      PlannedLoop<T>(loop, plan()).keep_last_state(pass, of_h, of_c, members, shape_.state_size(), shape_.hidden_size);
  }

  // This share's part of what the next layer reads: a layer's outputs times their masks.
  void drop_out(Index layer, const Share& share, const Members& members) const {
    const Index features = shape_.directions * shape_.state_size();
    const bool* const masks = tape_->options.masks + layer * plan().stored(call_.steps, call_.rows) * features;
    const Sequence<T> output = tape_->output_of(layer, features), dropped = tape_->input_of(layer + 1, features);
    // Rows that several threads share are shared by steps.
    const Range steps = part_of(call_.steps, share.sharer, share.sharers);
    for (Index t = steps.begin; t < steps.end; ++t)
      for (Index k = 0; k < members.active(t); ++k) {
        const Index b = members.row(k);
        const bool* const kept = masks + plan().stored_at(t, b, call_.rows) * features;
        drop_out_row<T>(tape_->options, kept, features, output.at(t, b), dropped.at(t, b));
      }
  }

  void zero_past_the_ends(const Share& share, const Members& members) const {
    if (plan().plain()) return;
    const Range part = part_of(members.count(), share.sharer, share.sharers);
    for (Index k = part.begin; k < part.end; ++k) {
      // Directions lie side by side, or each for itself.
      const Index apart = call_.direction_stride ? shape_.directions : 1;
      for (Index d = 0; d < apart; ++d)
        zero_past_the_end(plan(), members.row(k), call_.steps, features_from(call_.y, d * call_.direction_stride),
                          shape_.directions / apart * shape_.state_size());
      if (call_.c.data)
        zero_past_the_end(plan(), members.row(k), call_.steps, call_.c, shape_.directions * shape_.hidden_size);
    }
  }

  // What the tape has of c's in the last layer, to the caller's.
  void copy_memory() const {
    const Index H = shape_.hidden_size;
    for (Index d = 0; d < shape_.directions; ++d) {
      const Sequence<T> from = tape_->c((shape_.num_layers - 1) * shape_.directions + d, H);
      const Sequence<T> to = features_from(packed_by(plan().rows_before(), call_.c), d * H);
      const Members members(plan(), {0, call_.rows}, call_.rows, 0, 1);
      for (Index t = 0; t < call_.steps; ++t)
        for (Index k = 0; k < members.active(t); ++k)
          std::copy_n(from.at(t, members.row(k)), H, to.at(t, members.row(k)));
    }
  }

  void keep_initial_state() const {
    for (const Range& gap : tape_->layout.gaps) std::fill(tape_->at(gap.begin), tape_->at(gap.end), T(0));
    const Index states = shape_.passes() * call_.rows;
    copy_or_zero(call_.h0, states * shape_.state_size(), tape_->h0());
    const bool memory = has_memory(shape_.cell);
    if (memory) copy_or_zero(call_.c0, states * shape_.hidden_size, tape_->c0());
    const Index cuts = shape_.passes() * call_.cut.rows;
    copy_or_zero(call_.cut.h, cuts * shape_.state_size(), tape_->cut_h());
    if (memory) copy_or_zero(call_.cut.c, cuts * shape_.hidden_size, tape_->cut_c());
  }

  Range first_steps() const { return {0, chunk_steps_}; }
  Range steps_after(const Range& steps) const { return {steps.end, std::min(steps.end + chunk_steps_, call_.steps)}; }
  Range last_steps() const {
    const Index chunks = chunk_steps_ ? (call_.steps + chunk_steps_ - 1) / chunk_steps_ : 1;
    return {(chunks - 1) * chunk_steps_, call_.steps};
  }

  ForwardLoop<T> loop_of(Index layer, Index direction) const {
    return {packed_, static_cast<std::size_t>(layer * shape_.directions + direction)};
  }

  // Rows of panels of z that a thread's merged input products take, at most.
  Index merged_room(const Split& split, const PanelLayout& layout) const {
    Index room = 0;
    for (int rank = 0; rank < split.threads(); ++rank) {
      const Share share(split, rank, call_.rows, shape_.directions, layout.panels());
      room = std::max(room, merged_rows(share) * share.panels.size());
    }
    return room;
  }

  // Rows whose input products a share makes at once, at most.
  Index merged_rows(const Share& share) const {
    Index most = 0;
    const Index panels = share.panels.size(), rows = members_of(share).count();
    for (Index layer = 0; layer < shape_.num_layers; ++layer) {
      const ForwardLoop<T> loop = loop_of(layer, 0);
      most = std::max(most, plan().plain() ? loop.merged_steps(chunk_steps_, rows, panels) * rows
                                           : PlannedLoop<T>::merged_rows(loop, chunk_steps_, rows, panels));
    }
    return most;
  }

  // [steps, B, D*S] of a layer's outputs.
  Sequence<T> output_of(Index layer, const Range& steps) const {
    const Index features = shape_.directions * shape_.state_size();
    const Index after = shape_.num_layers - 1 - layer;
    if (after > 0 && tape_) return tape_->output_of(layer, features);
    if (after > 0 && shape_.directions == 1) return time_major(between_[layer % 2].data(), call_.rows, features);
    if (after % 2 == 1) return time_major(between_[0].data(), call_.rows, features);
    return packed_by(plan().rows_before(), call_.y).from(steps.begin);
  }

  // [steps, B, layer_input] of what a layer reads.
  Sequence<const T> input_of(Index layer, const Range& steps) const {
    if (layer == 0) return packed_by(plan().rows_before(), call_.x).from(steps.begin);
    if (tape_) return as_const(tape_->input_of(layer, shape_.layer_input(layer)));
    return as_const(output_of(layer - 1, steps));
  }

  // Inline: for a step of a small network it takes as long as a fifth of the arithmetic.
  [[gnu::always_inline]] inline Pass<T> pass_at(Index layer, Index direction, const Range& steps) const {
    const Index H = shape_.hidden_size, S = shape_.state_size(), rows = call_.rows;
    const Index p = layer * shape_.directions + direction;
    const bool first = steps.begin == 0;
    const T* const zeros = packed_.zeros.data();
    const StateView<T> zero = {zeros, 0};
    Pass<T> pass = {};
    pass.order = {steps.size(), shape_.runs_in_reverse(direction)};
    pass.begin = steps.begin;
    pass.rows = rows;
    if (tape_ && tape_->options.renewed)
      pass.renewed = tape_->options.renewed + p * plan().stored(call_.steps, rows) * S;
    pass.descends = descends_ != (steps.begin % 2 == 1);
    pass.x = input_of(layer, steps);
    const Index between = call_.direction_stride;
    pass.h = features_from(output_of(layer, steps), direction * (between ? between : S));
    pass.h_n = call_.h_n + p * rows * S;
    pass.h0 = {pass.h_n, S};
    if (first) pass.h0 = call_.h0 ? StateView<T>{call_.h0 + p * rows * S, S} : zero;
    if (plan().plain()) {
      // No row is cut.
    } else if (call_.cut.rows) {
      pass.cut_h = pass_of(call_.cut.h, call_.cut.rows, S, p, zeros);
      pass.cut_c = pass_of(call_.cut.c, call_.cut.rows, H, p, zeros);
    } else {
      pass.cut_h = pass.cut_c = zero;
    }
    if (has_memory(shape_.cell)) {
      pass.c_n = call_.c_n + p * rows * H;
      pass.c = call_.c.data && layer == shape_.num_layers - 1
                   ? features_from(packed_by(plan().rows_before(), call_.c).from(steps.begin), direction * H)
                   : Sequence<T>{pass.c_n, 0, H};
      pass.c0 = {pass.c_n, H};
      if (first) pass.c0 = call_.c0 ? StateView<T>{call_.c0 + p * rows * H, H} : zero;
    }
    if (second_row(shape_)) {
      pass.m = m_.data() + direction * m_direction_;
      pass.m_part = m_part_;
    }
    if (tape_) {
      if (tape_->keeps_gates()) pass.gates = tape_->gates(p, kept_of(shape_.cell) * H);
      if (has_memory(shape_.cell)) pass.c = tape_->c(p, H);
    }
    return pass;
  }

  const Packed& packed_;
  const NetworkShape& shape_;
  const KernelTable<T>& kernels_;
  const ForwardCall<T>& call_;
  const typename Tape<T>::Kept* const tape_;
  Index chunk_steps_;
  bool descends_;
  RowPlan own_plan_;  // without a tape, which has its own
  Buffer<T> between_[2];
  Buffer<T> m_;  // [D][part of the rows][rows of it, second_row]; in whole cache lines for each part
  Index m_direction_ = 0, m_part_ = 0;
};

}  // namespace

template <class T>
void Network<T>::infer(const ForwardCall<T>& call) const {
  const DefaultFloats floats;
  ForwardRun<T>(*packed_, call, nullptr).run();
}

template <class T>
int Network<T>::threads_of_use(Index steps, Index rows, int threads) const {
  const PanelLayout& layout = packed_->forward.front().layout();
  const LoopSize size = forward_size(packed_->shape, *packed_->kernels, layout, steps * rows, rows, steps);
  return rows == 0 ? 1 : choose_split(size, threads).threads();
}

template <class T>
std::unique_ptr<Tape<T>> Network<T>::forward(const ForwardCall<T>& call, const TrainingOptions<T>& options,
                                             T* memory) const {
  const DefaultFloats floats;
  auto tape = std::make_unique<Tape<T>>(packed_->shape, call, options, memory);
  ForwardRun<T>(*packed_, call, &tape->kept()).run();
  return tape;
}

template void Network<float>::infer(const ForwardCall<float>&) const;
template void Network<double>::infer(const ForwardCall<double>&) const;
template int Network<float>::threads_of_use(Index, Index, int) const;
template int Network<double>::threads_of_use(Index, Index, int) const;
template std::unique_ptr<Tape<float>> Network<float>::forward(const ForwardCall<float>&, const TrainingOptions<float>&,
                                                              float*) const;
template std::unique_ptr<Tape<double>> Network<double>::forward(const ForwardCall<double>&,
                                                                const TrainingOptions<double>&, double*) const;

}  // namespace lstmfast
