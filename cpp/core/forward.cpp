// The time loop forward.
#include <algorithm>
#include <vector>

#include "core/buffer.h"
#include "core/packed.h"
#include "core/split.h"
#include "core/tape.h"
#include "core/team.h"
#include "core/time.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

// Several steps' input products are made at once, so that a weight of W_ih that was read is used for all of them:
// - with fewer rows than a tile: as many steps as give z the size of W_ih, but between these limits ...
constexpr Index kLeastMergedBytes = 64 * 1024;
constexpr Index kMostMergedBytes = 512 * 1024;
// - with weights that even L3 may not hold: steps of so many rows altogether.
constexpr Index kLargeWeightBytes = 16 << 20;
constexpr Index kMergedRows = 192;

// One direction of one layer: all that its time loop reads and writes.
template <class T>
struct Pass {
  TimeOrder order;
  Sequence<const T> x;  // [T, B, layer_input]
  const T* h0;          // [B, H]
  Sequence<T> h;        // [T, B, H], the layer's output
  Sequence<T> c;        // [T, B, H]; in inference all steps are one [B, H], which starts as c0
  const T* c0;          // [B, H]
  Sequence<T> gates;    // [T, B, G*H]; data null in inference
  T* h_n;               // [B, H]
  T* c_n;               // [B, H]; may be c's memory
};

template <class T>
class ForwardLoop {
 public:
  ForwardLoop(const KernelTable<T>& kernels, Cell cell, const ForwardPacking<T>& packing, Index hidden_size)
      : kernels_(kernels), cell_(static_cast<int>(cell)), packing_(packing), hidden_size_(hidden_size) {}

  // How many steps' input products are made at once for so many rows and panels; 0: each step makes its own.
  Index merged_steps(Index steps, Index rows, Index panels) const {
    if (steps < 2 || rows == 0) return 0;
    const Index z_bytes = rows * panels * packing_.layout().width() * static_cast<Index>(sizeof(T));
    if (rows < kernels_.row_tile) {
      const Index weight_bytes = z_bytes / rows * packing_.input_size();
      const Index most = std::clamp(weight_bytes, kLeastMergedBytes, kMostMergedBytes);
      return std::clamp<Index>(most / std::max<Index>(z_bytes, 1), 1, steps);
    }
    const Index merged = std::min(kMergedRows / rows, steps);
    return packing_.bytes() >= kLargeWeightBytes && merged > 1 ? merged : 0;
  }

  // z: merged_steps() steps of this share's rows and panels.
  void run(const Pass<T>& pass, const Share& share, Meeting& meeting, T* z) const {
    const Index rows = share.rows.size();
    const Index z_row = share.panels.size() * packing_.layout().width();
    const Index merged = merged_steps(pass.order.steps, rows, share.panels.size());
    for (Index s = 0; s < pass.order.steps; ++s) {
      if (merged && s % merged == 0) input_products(pass, share, s, std::min(merged, pass.order.steps - s), z);
      ForwardStep<T> step = step_at(pass, share, s);
      if (merged) {
        step.x = nullptr;
        step.z = z + s % merged * rows * z_row;
        step.z_stride = z_row;
      }
      if (rows > 0 && share.panels.size() > 0) kernels_.forward_step[cell_](step);
      meeting.after_step(share);
    }
    if (share.first_of_panels) keep_last_state(pass, share);
  }

 private:
  void input_products(const Pass<T>& pass, const Share& share, Index s, Index steps, T* z) const {
    const InputProduct<T> product = {steps,
                                     share.rows.size(),
                                     packing_.input_size(),
                                     hidden_size_,
                                     share.panels.begin,
                                     share.panels.end,
                                     packing_.panels(),
                                     steps_from(pass.x, pass.order, s, share.rows.begin),
                                     time_major(z, share.rows.size(), share.panels.size() * packing_.layout().width())};
    kernels_.input_product[cell_](product);
  }

  ForwardStep<T> step_at(const Pass<T>& pass, const Share& share, Index s) const {
    const Index t = pass.order.t(s);
    const Index row = share.rows.begin;
    const StateView<T> h = state_before<T>(s, pass.order, pass.h0, hidden_size_, pass.h);
    const StateView<T> c = state_before<T>(s, pass.order, pass.c0, hidden_size_, pass.c);
    ForwardStep<T> step = {};
    step.rows = share.rows.size();
    step.input_size = packing_.input_size();
    step.hidden_size = hidden_size_;
    step.panel_begin = share.panels.begin;
    step.panel_end = share.panels.end;
    step.descending = s % 2 == 1;
    step.panels = packing_.panels();
    step.x = pass.x.at(t, row);
    step.x_stride = pass.x.row_stride;
    step.h = h.data + row * h.stride;
    step.h_stride = h.stride;
    step.h_out = pass.h.at(t, row);
    step.h_out_stride = pass.h.row_stride;
    if (pass.c0) {
      step.c = c.data + row * c.stride;
      step.c_stride = c.stride;
      step.c_out = pass.c.at(t, row);
      step.c_out_stride = pass.c.row_stride;
    }
    if (pass.gates.data) {
      step.gates = pass.gates.at(t, row);
      step.gates_stride = pass.gates.row_stride;
    }
    return step;
  }

  void keep_last_state(const Pass<T>& pass, const Share& share) const {
    const Index steps = pass.order.steps;
    const StateView<T> h = state_before<T>(steps, pass.order, pass.h0, hidden_size_, pass.h);
    const StateView<T> c = state_before<T>(steps, pass.order, pass.c0, hidden_size_, pass.c);
    for (Index b = share.rows.begin; b < share.rows.end; ++b) {
      std::copy_n(h.data + b * h.stride, hidden_size_, pass.h_n + b * hidden_size_);
      if (c.data && c.data != pass.c_n) std::copy_n(c.data + b * c.stride, hidden_size_, pass.c_n + b * hidden_size_);
    }
  }

  const KernelTable<T>& kernels_;
  const int cell_;
  const ForwardPacking<T>& packing_;
  const Index hidden_size_;
};

template <class T>
Buffer<T> copy_or_zero(const T* from, Index count) {
  Buffer<T> copy(count);
  if (from)
    std::copy_n(from, count, copy.data());
  else
    copy.fill_zero();
  return copy;
}

// All passes of a call, their memory and their threads. `tape` is null in inference.
template <class T>
class ForwardRun {
 public:
  ForwardRun(const NetworkShape& shape, const KernelTable<T>& kernels, const std::deque<ForwardPacking<T>>& packings,
             const ForwardCall<T>& call, typename Tape<T>::Kept* tape)
      : shape_(shape), kernels_(kernels), packings_(packings), call_(call) {
    const Index H = shape.hidden_size, rows = call.rows;
    const Index state = checked_product({shape.passes(), rows, H});
    Buffer<T>& h0 = tape ? tape->h0 : h0_;
    Buffer<T>& c0 = tape ? tape->c0 : c0_;
    if (tape || !call.h0) h0 = copy_or_zero(call.h0, state);
    const bool memory = has_memory(shape.cell);
    if (memory && (tape || !call.c0)) c0 = copy_or_zero(call.c0, state);
    std::vector<Buffer<T>>& hidden = tape ? tape->hidden : hidden_;
    // Outputs between layers: kept for backward, or two that take turns.
    const Index between = tape ? shape.num_layers - 1 : std::min<Index>(shape.num_layers - 1, 2);
    for (Index k = 0; k < between; ++k) hidden.emplace_back(checked_product({call.steps, rows, shape.directions, H}));

    for (Index p = 0; p < shape.passes(); ++p) {
      const Index layer = p / shape.directions, direction = p % shape.directions;
      const Index features = shape.directions * H;
      const auto output_of = [&](Index l) {
        return l == shape.num_layers - 1
                   ? call.y
                   : time_major(hidden[static_cast<std::size_t>(l % between)].data(), rows, features);
      };
      Pass<T> pass = {};
      pass.order = {call.steps, direction == 1};
      pass.x = layer ? as_const(output_of(layer - 1)) : call.x;
      pass.h = features_from(output_of(layer), direction * H);
      pass.h0 = (h0.data() ? h0.data() : call.h0) + p * rows * H;
      pass.h_n = call.h_n + p * rows * H;
      if (memory) {
        pass.c0 = (c0.data() ? c0.data() : call.c0) + p * rows * H;
        pass.c_n = call.c_n + p * rows * H;
        pass.c = {pass.c_n, 0, H};
      }
      if (tape) {
        tape->gates.emplace_back(checked_product({call.steps, rows, shape.gates(), H}));
        pass.gates = time_major(tape->gates.back().data(), rows, shape.gates() * H);
        if (memory) {
          tape->c.emplace_back(checked_product({call.steps, rows, H}));
          pass.c = time_major(tape->c.back().data(), rows, H);
        }
      }
      passes_.push_back(pass);
    }
  }

  void run() {
    if (call_.rows == 0) return;  // nothing to do, however many steps there are
    const PanelLayout& layout = packings_.front().layout();
    const Index widest = std::max(shape_.input_size, shape_.layer_input(shape_.num_layers - 1));
    const Index step_terms = shape_.gates() * shape_.hidden_size * (widest + shape_.hidden_size);
    const LoopSize size = {call_.steps * shape_.num_layers,
                           call_.rows,
                           shape_.directions,
                           layout.panels(),
                           step_terms,
                           step_terms * static_cast<Index>(sizeof(T)),
                           kernels_.row_tile};
    Team team(choose_split(size, get_num_threads()).threads());
    const Split split = choose_split(size, team.size());
    Meeting meeting(split);
    std::vector<Share> shares;
    std::vector<Buffer<T>> merged;
    for (int rank = 0; rank < split.threads(); ++rank) {
      const Share share(split, rank, call_.rows, shape_.directions, layout.panels());
      const Index rows = share.rows.size(), panels = share.panels.size();
      Index merged_steps = 0;
      for (const ForwardPacking<T>& packing : packings_)
        merged_steps = std::max(merged_steps, loop_of(packing).merged_steps(call_.steps, rows, panels));
      merged.emplace_back(merged_steps * rows * panels * layout.width());
      shares.push_back(share);
    }
    team.run([&](int rank) {
      if (rank >= split.threads()) return;
      const Share& share = shares[static_cast<std::size_t>(rank)];
      for (Index layer = 0; layer < shape_.num_layers; ++layer) {
        for (Index direction = share.directions.begin; direction < share.directions.end; ++direction) {
          const auto pass = static_cast<std::size_t>(layer * shape_.directions + direction);
          loop_of(packings_[pass]).run(passes_[pass], share, meeting, merged[static_cast<std::size_t>(rank)].data());
        }
        meeting.after_layer();
      }
    });
  }

 private:
  ForwardLoop<T> loop_of(const ForwardPacking<T>& packing) const {
    return {kernels_, shape_.cell, packing, shape_.hidden_size};
  }

  const NetworkShape& shape_;
  const KernelTable<T>& kernels_;
  const std::deque<ForwardPacking<T>>& packings_;
  const ForwardCall<T>& call_;
  Buffer<T> h0_, c0_;
  std::vector<Buffer<T>> hidden_;
  std::vector<Pass<T>> passes_;
};

}  // namespace

template <class T>
void Network<T>::infer(const ForwardCall<T>& call) const {
  ForwardRun<T>(packed_->shape, *packed_->kernels, packed_->forward, call, nullptr).run();
}

template <class T>
std::unique_ptr<Tape<T>> Network<T>::forward(const ForwardCall<T>& call) const {
  auto kept = std::make_unique<typename Tape<T>::Kept>();
  kept->steps = call.steps;
  kept->rows = call.rows;
  kept->x = call.x;
  kept->y = as_const(call.y);
  ForwardRun<T>(packed_->shape, *packed_->kernels, packed_->forward, call, kept.get()).run();
  return std::make_unique<Tape<T>>(std::move(kept));
}

template void Network<float>::infer(const ForwardCall<float>&) const;
template void Network<double>::infer(const ForwardCall<double>&) const;
template std::unique_ptr<Tape<float>> Network<float>::forward(const ForwardCall<float>&) const;
template std::unique_ptr<Tape<double>> Network<double>::forward(const ForwardCall<double>&) const;

}  // namespace lstmfast
