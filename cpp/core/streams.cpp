// Streams: a step of all layers for rows whose states lie wherever their slots are.
#include "lstmfast/streams.h"

#include <algorithm>

#include "core/buffer.h"
#include "core/float_environment.h"
#include "core/forward_loop.h"
#include "core/packed.h"
#include "core/split.h"
#include "core/team.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

// A block is rows that a thread takes through all layers together: far more of them than it takes to make reading the
// weights cheap. What blocks need beside the states has room for so many rows of all threads together, however many
// streams there are.
constexpr Index kBlockRows = 128;
constexpr Index kScratchRows = 512;

}  // namespace

// All that a Streams holds.
template <class T>
struct Streams<T>::Kept {
  Kept(const NetworkShape& network_shape, Index streams)
      : shape(network_shape),
        count(streams),
        scratch_rows(std::min(streams, kScratchRows)),
        h(checked_product({shape.num_layers, count, shape.state_size()})),
        c(has_memory(shape.cell) ? checked_product({shape.num_layers, count, shape.hidden_size}) : 0),
        between(checked_product({std::min<Index>(shape.num_layers - 1, 2), scratch_rows, shape.state_size()})),
        m(checked_product({scratch_rows, second_row(shape)})) {}

  T* h_at(Index layer, Index slot) const { return h.data() + (layer * count + slot) * shape.state_size(); }
  T* c_at(Index layer, Index slot) const {
    return c.data() ? c.data() + (layer * count + slot) * shape.hidden_size : nullptr;
  }
  Index bytes() const { return h.bytes() + c.bytes() + between.bytes() + m.bytes(); }

  NetworkShape shape;
  Index count;         // N
  Index scratch_rows;  // of what comes after the states
  Buffer<T> h;         // [L, N, S]
  Buffer<T> c;         // [L, N, H]; empty for cells without memory
  Buffer<T> between;   // two of [scratch_rows, S], or one, or none: outputs of layers but the last, in turns
  Buffer<T> m;         // [scratch_rows, second_row]; empty without a second product
};

namespace {

// Where a block's rows of h and c are.
template <class T>
struct BlockLists {
  const T* h[kBlockRows];
  T* c[kBlockRows];
};

// One step of some streams, by all threads.
template <class T, class Kept>
class StepRun {
 public:
  StepRun(const typename Network<T>::Packed& packed, const Kept& kept, const StreamStep<T>& call)
      : packed_(packed), shape_(kept.shape), kept_(kept), call_(call) {
    descends_ = packed.next_descends.load(std::memory_order_relaxed);
    packed.next_descends.store(!descends_, std::memory_order_relaxed);
  }

  void run() const {
    const PanelLayout& layout = packed_.forward.front().layout();
    const LoopSize size = forward_size(shape_, *packed_.kernels, layout, call_.rows, call_.rows, 1);
    const int threads = choose_split(size, std::min(get_num_threads(), static_cast<int>(kScratchRows))).threads();
    if (threads == 1) {
      const Split alone;
      Meeting meeting(alone);
      return run_share(Share(alone, 0, call_.rows, 1, layout.panels()), meeting);
    }
    Team team(threads, is_brief(size.terms()));
    const Split split = choose_split(size, team.size());
    Meeting meeting(split);
    team.run([&](int rank) {
      if (rank < split.threads()) run_share(Share(split, rank, call_.rows, 1, layout.panels()), meeting);
    });
    if (never_meets(split.panel_parts)) keep_h(0, {0, call_.rows}, outputs({0, call_.rows}), {0, shape_.state_size()});
  }

 private:
  // Threads that share a lone layer's panels need not wait for one another: the caller replaces h when all are done. So
  // one that has no CPU keeps nobody waiting; its share is taken back.
  bool never_meets(int panel_parts) const { return panel_parts > 1 && shape_.num_layers == 1 && !second_row(shape_); }
  Rows<T> outputs(const Range& rows) const {
    return {call_.y + rows.begin * shape_.state_size(), shape_.state_size(), nullptr};
  }

  void run_share(const Share& share, Meeting& meeting) const {
    const Index block = std::min(kBlockRows, kept_.scratch_rows / share.row_parts);
    bool descends = descends_;
    BlockLists<T> lists;
    for (Index first = share.rows.begin; first < share.rows.end; first += block) {
      step_block({first, std::min(first + block, share.rows.end)}, share, share.row_part * block, descends, lists,
                 meeting);
      descends = !descends;
    }
  }

  // All layers. scratch: the row of scratch that is this block's first.
  void step_block(const Range& rows, const Share& share, Index scratch, bool descends, BlockLists<T>& lists,
                  Meeting& meeting) const {
    const Index S = shape_.state_size(), last_layer = shape_.num_layers - 1;
    Rows<const T> x = {call_.x + rows.begin * shape_.input_size, shape_.input_size, nullptr};
    for (Index layer = 0; layer <= last_layer; ++layer) {
      const ForwardLoop<T> loop(packed_, static_cast<std::size_t>(layer));
      ForwardStep<T> step = loop.blank_step(share);
      step.rows = rows.size();
      step.descending = descends;
      step.x = x;
      place_states(step, layer, rows, lists);
      Rows<T> out = outputs(rows);
      if (layer < last_layer) out.data = kept_.between.data() + ((layer % 2) * kept_.scratch_rows + scratch) * S;
      T* const m = kept_.m.data() ? kept_.m.data() + scratch * second_row(shape_) : nullptr;
      loop.run_step(step, out, m, share, meeting);
      if (loop.zones_out()) loop.zone_out(step, out, share, [](Index) -> const bool* { return nullptr; });
      if (never_meets(share.panel_parts)) return;
      meeting.after_layer();  // all have read the states, and all that the next layer reads is there
      keep_h(layer, rows, out, loop.state_columns(share));
      x = {out.data, S, nullptr};
    }
  }

  // Says where the block's rows of h and c are.
  void place_states(ForwardStep<T>& step, Index layer, const Range& rows, BlockLists<T>& lists) const {
    const Index H = shape_.hidden_size;
    const bool memory = has_memory(shape_.cell);
    if (!call_.slots) {
      step.h = {kept_.h_at(layer, rows.begin), shape_.state_size(), nullptr};
      if (memory) step.c = {kept_.c_at(layer, rows.begin), H, nullptr};
      if (memory) step.c_out = {kept_.c_at(layer, rows.begin), H, nullptr};
      return;
    }
    for (Index k = 0; k < rows.size(); ++k) {
      const Index slot = call_.slots[rows.begin + k];
      lists.h[k] = kept_.h_at(layer, slot);
      if (memory) lists.c[k] = kept_.c_at(layer, slot);
    }
    step.h = {nullptr, 0, lists.h};
    if (memory) step.c = {nullptr, 0, lists.c};
    if (memory) step.c_out = {nullptr, 0, lists.c};
  }

  // The new h of these columns, in the place of the old.
  void keep_h(Index layer, const Range& rows, const Rows<T>& from, const Range& columns) const {
    for (Index k = 0; k < rows.size(); ++k) {
      const Index slot = call_.slots ? call_.slots[rows.begin + k] : rows.begin + k;
      std::copy(from[k] + columns.begin, from[k] + columns.end, kept_.h_at(layer, slot) + columns.begin);
    }
  }

  const typename Network<T>::Packed& packed_;
  const NetworkShape& shape_;
  const Kept& kept_;
  const StreamStep<T>& call_;
  bool descends_;
};

// Rows [n] of each layer of one half of the state, h or c, to or from slots.
template <class At, class Each>
void for_states(Index layers, const Index* slots, Index n, const At& at, const Each& each) {
  for (Index layer = 0; layer < layers; ++layer)
    for (Index k = 0; k < n; ++k) each(at(layer, slots ? slots[k] : k), layer * n + k);
}

template <class T>
void set_rows(const T* from, Index row, Index width, T* to) {
  if (from)
    std::copy_n(from + row * width, width, to);
  else
    std::fill_n(to, width, T(0));
}

}  // namespace

template <class T>
Streams<T>::Streams(const NetworkShape& shape, Index count) : kept_(std::make_unique<Kept>(shape, count)) {}

template <class T>
Streams<T>::~Streams() = default;

template <class T>
const NetworkShape& Streams<T>::shape() const {
  return kept_->shape;
}

template <class T>
Index Streams<T>::count() const {
  return kept_->count;
}

template <class T>
Index Streams<T>::bytes() const {
  return kept_->bytes();
}

template <class T>
void Streams<T>::step(const Network<T>& network, const StreamStep<T>& call) {
  if (call.rows <= 0) return;
  const DefaultFloats floats;
  StepRun<T, Kept>(network.packed(), *kept_, call).run();
}

template <class T>
void Streams<T>::run(const Network<T>& network, Index steps, const Sequence<const T>& x, const Sequence<T>& y) {
  T* const h = kept_->h.data();
  T* const c = kept_->c.data();
  network.infer({steps, kept_->count, x, h, c, y, h, c});
}

template <class T>
void Streams<T>::read(const Index* slots, Index n, T* h, T* c) const {
  const Index S = kept_->shape.state_size(), H = kept_->shape.hidden_size, L = kept_->shape.num_layers;
  for_states(
      L, slots, n, [&](Index layer, Index slot) { return kept_->h_at(layer, slot); },
      [&](const T* state, Index row) {
        if (h) std::copy_n(state, S, h + row * S);
      });
  for_states(
      L, slots, n, [&](Index layer, Index slot) { return kept_->c_at(layer, slot); },
      [&](const T* state, Index row) {
        if (c && state) std::copy_n(state, H, c + row * H);
      });
}

template <class T>
void Streams<T>::write(const Index* slots, Index n, const T* h, const T* c) {
  const Index S = kept_->shape.state_size(), H = kept_->shape.hidden_size, L = kept_->shape.num_layers;
  for_states(
      L, slots, n, [&](Index layer, Index slot) { return kept_->h_at(layer, slot); },
      [&](T* state, Index row) { set_rows(h, row, S, state); });
  for_states(
      L, slots, n, [&](Index layer, Index slot) { return kept_->c_at(layer, slot); },
      [&](T* state, Index row) {
        if (state) set_rows(c, row, H, state);
      });
}

template <class T>
void Streams<T>::grow(Index count) {
  auto larger = std::make_unique<Kept>(kept_->shape, count);
  for (Index layer = 0; layer < kept_->shape.num_layers; ++layer) {
    std::copy(kept_->h_at(layer, 0), kept_->h_at(layer, kept_->count), larger->h_at(layer, 0));
    if (kept_->c.data()) std::copy(kept_->c_at(layer, 0), kept_->c_at(layer, kept_->count), larger->c_at(layer, 0));
  }
  kept_ = std::move(larger);
}

template class Streams<float>;
template class Streams<double>;

}  // namespace lstmfast
