// The time loop backward, layer by layer from the last, in chunks of steps: first dz of the chunk's steps
// in reverse, then dx and the weight gradients as products over the whole chunk while dz is in cache.
#include <algorithm>
#include <vector>

#include "core/gradients.h"
#include "core/packed.h"
#include "core/split.h"
#include "core/tape.h"
#include "core/team.h"
#include "core/time.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

// A chunk's dz: small enough to be in L2 or L3 still when the products read it ...
constexpr Index kChunkBytes = 512 * 1024;
// ... and long enough for the products to be large.
constexpr Index kChunkTerms = 128;

template <class T>
class BackwardRun {
 public:
  BackwardRun(const NetworkShape& shape, const KernelTable<T>& kernels, const std::deque<BackwardPacking<T>>& packings,
              const typename Tape<T>::Kept& tape, const BackwardCall<T>& call)
      : shape_(shape),
        kernels_(kernels),
        packings_(packings),
        tape_(tape),
        call_(call),
        rows_(tape.rows),
        steps_(tape.rows ? tape.steps : 0) {
    const Index H = shape.hidden_size;
    gate_rows_ = shape.gates() * H;
    const Index row_bytes = rows_ * gate_rows_ * static_cast<Index>(sizeof(T));
    chunk_steps_ = std::max(kChunkBytes / std::max<Index>(row_bytes, 1), kChunkTerms / std::max<Index>(rows_, 1));
    chunk_steps_ = std::clamp<Index>(chunk_steps_, 1, std::max<Index>(steps_, 1));
    dz_ = Buffer<T>(checked_product({chunk_steps_, rows_, gate_rows_}));
    const Index between = std::min<Index>(shape.num_layers - 1, 2);
    for (Index k = 0; k < between; ++k) between_.emplace_back(checked_product({steps_, rows_, shape.directions, H}));
  }

  void run() {
    const PanelLayout layout = {1, shape_.hidden_size, kernels_.lanes};
    const Index step_terms = gate_rows_ * shape_.hidden_size;
    // Directions follow one another: both add to the same dx.
    const LoopSize size = {
        steps_, rows_, 1, layout.panels(), step_terms, step_terms * static_cast<Index>(sizeof(T)), kernels_.row_tile,
        true};
    // dz W_hh is part of the loop; dz W_ih and dW = dz^T [1, x, h] are products, and may use more threads.
    const Index widest = std::max(shape_.input_size, shape_.layer_input(shape_.num_layers - 1));
    const Index product_terms = steps_ * rows_ * gate_rows_ * (2 * widest + shape_.hidden_size);
    const int threads = get_num_threads();
    Team team(std::max(choose_split(size, threads).threads(), threads_for_products(product_terms, threads)),
              is_brief(size.terms() + product_terms));
    const Split split = choose_split(size, team.size());
    Meeting meeting(split);
    const int parts = team.size();
    Barrier all(parts);
    for (Index p = shape_.passes(); p-- > 0;) {
      const Pass pass = pass_at(p);
      std::deque<GradientShare<T>> gradients;
      for (int part = 0; part < parts; ++part)
        gradients.emplace_back(kernels_, gate_rows_, pass.input_size, shape_.hidden_size, part, parts);
      team.run([&](int rank) {
        const bool in_loop = rank < split.threads();
        const Share share(split, in_loop ? rank : 0, rows_, 1, layout.panels());
        GradientShare<T>& weights = gradients[static_cast<std::size_t>(rank)];
        if (in_loop) load_state_gradient(pass, share, meeting);
        for (Index end = steps_; end > 0;) {
          const Range steps = {std::max<Index>(end - chunk_steps_, 0), end};
          if (in_loop) back_through(pass, steps, share, meeting);
          all.wait();
          input_gradient(pass, steps, rank, parts);
          weights.add(pass.inputs, dz_.data(), rows_, steps);
          all.wait();  // before the next chunk overwrites dz
          end = steps.begin;
        }
        weights.finish(call_.gradients[p]);
      });
    }
  }

 private:
  struct Pass {
    Index input_size;
    GateInputs<T> inputs;
    Sequence<const T> gates;  // [T, B, G*H]
    Sequence<const T> c;      // [T, B, H]
    const T* c0;              // [B, H]; null for cells without memory, as is c
    Sequence<const T> dy;     // [T, B, H]; data null is zero
    const T* dh_n;            // [B, H]; null is zero
    const T* dc_n;            // [B, H]; null is zero
    T* dh;                    // [B, H] gradient of the state before the chunk; dh0 in the end
    T* dc;                    // [B, H] likewise
    Sequence<T> dx;           // [T, B, input_size]
    bool add_to_dx;           // the other direction was here before
    const T* hidden_panels;
    const T* input_panels;
  };

  // Gradient of the output of layer l, which is the dx of the layer above.
  Sequence<T> between(Index layer) const {
    const Index k = layer % static_cast<Index>(between_.size());
    return time_major(between_[static_cast<std::size_t>(k)].data(), rows_, shape_.directions * shape_.hidden_size);
  }

  Pass pass_at(Index p) const {
    const Index H = shape_.hidden_size, D = shape_.directions;
    const Index layer = p / D, direction = p % D, last = shape_.num_layers - 1;
    const auto at = static_cast<std::size_t>(p);
    const auto output_of = [&](Index l) {
      return l == last ? tape_.y : as_const(time_major(tape_.hidden[static_cast<std::size_t>(l)].data(), rows_, D * H));
    };
    const bool memory = has_memory(shape_.cell);
    const Index state = p * rows_ * H;
    Pass pass = {};
    pass.input_size = shape_.layer_input(layer);
    pass.inputs = {{steps_, direction == 1},
                   layer ? output_of(layer - 1) : tape_.x,
                   tape_.h0.data() + state,
                   features_from(output_of(layer), direction * H)};
    pass.gates = as_const(time_major(tape_.gates[at].data(), rows_, gate_rows_));
    if (memory) {
      pass.c = as_const(time_major(tape_.c[at].data(), rows_, H));
      pass.c0 = tape_.c0.data() + state;
      pass.dc = call_.dc0 + state;
      pass.dc_n = call_.dc_n ? call_.dc_n + state : nullptr;
    }
    const Sequence<const T> dy = layer == last ? call_.dy : as_const(between(layer));
    pass.dy = dy.data ? features_from(dy, direction * H) : dy;
    pass.dh_n = call_.dh_n ? call_.dh_n + state : nullptr;
    pass.dh = call_.dh0 + state;
    pass.dx = layer ? between(layer - 1) : call_.dx;
    pass.add_to_dx = direction < D - 1;  // passes run from the last
    pass.hidden_panels = packings_[at].hidden_panels();
    pass.input_panels = packings_[at].input_panels();
    return pass;
  }

  // dh and dc start as the gradient of the last state.
  void load_state_gradient(const Pass& pass, const Share& share, Meeting& meeting) const {
    const Index H = shape_.hidden_size;
    if (share.first_of_panels)
      for (Index k = share.rows.begin * H; k < share.rows.end * H; ++k) {
        pass.dh[k] = pass.dh_n ? pass.dh_n[k] : T(0);
        if (pass.dc) pass.dc[k] = pass.dc_n ? pass.dc_n[k] : T(0);
      }
    meeting.after_step(share);
  }

  // dz of steps [begin, end), the last first; dh and dc become the gradient of the state before `begin`.
  void back_through(const Pass& pass, Range steps, const Share& share, Meeting& meeting) const {
    const Index H = shape_.hidden_size;
    const Index row = share.rows.begin;
    const bool has_work = share.rows.size() > 0 && share.panels.size() > 0;
    const auto dz_at = [&](Index s) { return dz_.data() + ((s - steps.begin) * rows_ + row) * gate_rows_; };
    const auto cell = static_cast<int>(shape_.cell);
    for (Index s = steps.end; s-- > steps.begin;) {
      const Index t = pass.inputs.order.t(s);
      BackwardStep<T> step = {};
      step.rows = share.rows.size();
      step.hidden_size = H;
      step.panel_begin = share.panels.begin;
      step.panel_end = share.panels.end;
      step.descending = s % 2 == 1;
      step.panels = pass.hidden_panels;
      step.dz_next = s + 1 < steps.end ? dz_at(s + 1) : nullptr;
      step.dh = pass.dh + row * H;
      step.dh_stride = H;
      step.dy = pass.dy.data ? pass.dy.at(t, row) : nullptr;
      step.dy_stride = pass.dy.row_stride;
      step.gates = pass.gates.at(t, row);
      step.h_out = pass.inputs.h.at(t, row);
      step.h_out_stride = pass.inputs.h.row_stride;
      if (pass.dc) {
        const StateView<const T> c = state_before<const T>(s, pass.inputs.order, {pass.c0, H}, pass.c);
        step.c_out = pass.c.at(t, row);
        step.c_out_stride = pass.c.row_stride;
        step.c = c.data + row * c.stride;
        step.c_stride = c.stride;
        step.dc = pass.dc + row * H;
        step.dc_stride = H;
      }
      step.dz = dz_at(s);
      step.gates_stride = gate_rows_;
      if (has_work) kernels_.backward_step[cell](step);
      meeting.after_step(share);
    }
    if (has_work) {
      const GateProduct<T> to_state = {1,
                                       share.rows.size(),
                                       shape_.gates(),
                                       H,
                                       H,
                                       share.panels.begin,
                                       share.panels.end,
                                       pass.hidden_panels,
                                       {dz_at(steps.begin), 0, gate_rows_},
                                       {pass.dh + row * H, 0, H},
                                       false};
      kernels_.gate_product(to_state);
    }
    meeting.after_step(share);
  }

  // dx of this thread's part of the steps (or, where they are fewer, of the rows).
  void input_gradient(const Pass& pass, Range steps, Index part, Index parts) const {
    const PanelLayout layout = {1, pass.input_size, kernels_.lanes};
    const bool by_steps = steps.size() >= rows_;
    const Range of_steps = by_steps ? part_of(steps.size(), part, parts) : Range{0, steps.size()};
    const Range of_rows = by_steps ? Range{0, rows_} : part_of(rows_, part, parts);
    if (of_steps.size() == 0 || of_rows.size() == 0) return;
    const Sequence<const T> dz = as_const(time_major(dz_.data(), rows_, gate_rows_));
    const GateProduct<T> product = {of_steps.size(),
                                    of_rows.size(),
                                    shape_.gates(),
                                    shape_.hidden_size,
                                    pass.input_size,
                                    0,
                                    layout.panels(),
                                    pass.input_panels,
                                    dz.from(of_steps.begin, of_rows.begin),
                                    steps_from(pass.dx, pass.inputs.order, steps.begin + of_steps.begin, of_rows.begin),
                                    pass.add_to_dx};
    kernels_.gate_product(product);
  }

  const NetworkShape& shape_;
  const KernelTable<T>& kernels_;
  const std::deque<BackwardPacking<T>>& packings_;
  const typename Tape<T>::Kept& tape_;
  const BackwardCall<T>& call_;
  const Index rows_;
  const Index steps_;  // none when there are no rows, however long the call was
  Index gate_rows_ = 0;
  Index chunk_steps_ = 0;
  Buffer<T> dz_;                    // [chunk_steps, B, G*H]
  std::vector<Buffer<T>> between_;  // gradients between layers take turns
};

}  // namespace

template <class T>
void Network<T>::backward(const Tape<T>& tape, const BackwardCall<T>& call) const {
  BackwardRun<T>(packed_->shape, *packed_->kernels, packed_->backward(), tape.kept(), call).run();
}

template void Network<float>::backward(const Tape<float>&, const BackwardCall<float>&) const;
template void Network<double>::backward(const Tape<double>&, const BackwardCall<double>&) const;

}  // namespace lstmfast
