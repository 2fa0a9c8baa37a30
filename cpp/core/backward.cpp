// The time loop backward, layer by layer from the last, in chunks of steps: first dz of the chunk's steps
// in reverse, then dx and the weight gradients as products over the whole chunk while dz is in cache.
#include <algorithm>
#include <vector>

#include "core/backward_loop.h"
#include "core/factor_shares.h"
#include "core/float_environment.h"
#include "core/forward_loop.h"
#include "core/gradients.h"
#include "core/packed.h"
#include "core/split.h"
#include "core/tape.h"
#include "core/team.h"
#include "core/terms.h"
#include "lstmfast/heuristics.h"
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
  using Packed = typename Network<T>::Packed;
  using Kept = typename Tape<T>::Kept;

  BackwardRun(const Packed& packed, const Kept& tape, const BackwardCall<T>& call)
      : packed_(packed),
        shape_(packed.shape),
        kernels_(*packed.kernels),
        packings_(packed.backward()),
        tape_(tape),
        call_(call),
        rows_(tape.rows),
        steps_(tape.rows ? tape.steps : 0),
        gate_rows_(kept_of(shape_.cell) * shape_.hidden_size),
        dz_stride_(odd_lines<T>(dz_of(shape_.cell) * shape_.hidden_size)),
        chunk_steps_(steps_of_chunk()),
        dz_(chunk_of(dz_stride_)),
        terms_(shape_, chunk_steps_ * rows_, tape.makes_gates()) {
    if (tape.makes_gates()) gates_ = chunk_of(gate_rows_);
    const bool zoned = shape_.zoneout > 0;
    if (shape_.projection_size || zoned) dh_ = chunk_of(odd_lines<T>(shape_.state_size()));
    if (zoned) passed_ = Buffer<T>(checked_product({rows_, shape_.state_size()}));
    if (shape_.second_product()) {
      m_ = chunk_of(shape_.hidden_size);
    }
    if (second_row(shape_)) {
      dm_ = Buffer<T>(checked_product({rows_, shape_.hidden_size}));
    }
    const Index between = std::min<Index>(shape_.num_layers - 1, 2);
    const Index places = tape.plan.stored(steps_, rows_);
    for (Index k = 0; k < between; ++k)
      between_.emplace_back(checked_product({places, shape_.directions, shape_.state_size()}));
  }

  void run() {
    const Index H = shape_.hidden_size, S = shape_.state_size();
    const PanelLayout layout = {1, H, kernels_.lanes};
    const Index weight_rows = shape_.gates() * H;
    const Index step_terms = weight_rows * S + H * shape_.projection_size;
    const Index places = tape_.plan.places(steps_, rows_);
    // Directions follow one another: both add to the same dx.
    const LoopSize size = {
        places, rows_, 1, layout.panels(), step_terms, step_terms * static_cast<Index>(sizeof(T)), kernels_.row_tile,
        true};
    // dz W_hh is part of the loop; dz W_ih and dW = dz^T [x, h] are products, and may use more threads.
    const Index widest = std::max(shape_.input_size, shape_.layer_input(shape_.num_layers - 1));
    const Index product_terms = places * weight_rows * (2 * widest + S);
    const Index lowest = lowest_layer();
    const int threads = get_num_threads();
    Team team(std::max(choose_split(size, threads).threads(), threads_for_products(product_terms, threads)),
              is_brief(size.terms() + product_terms));
    const Split split = choose_split(size, team.size());
    Watch watch(size.terms() + product_terms);
    Meeting meeting(split, watch.or_null());
    const int parts = team.size();
    Barrier all(parts);
    std::vector<BackwardLists<T>> lists;  // of each thread; empty ones where nothing is listed
    for (int rank = 0; rank < parts; ++rank) lists.emplace_back(tape_.plan.plain() ? 0 : rows_);
    for (Index p = shape_.passes(); p-- > lowest * shape_.directions;) {
      const BackwardPass<T> pass = pass_at(p);
      const PassParameters<T>& to = call_.gradients[p];
      const bool wants_dx = p / shape_.directions > (call_.dx.data ? -1 : lowest);
      // One for all weights; or, where x and h have parts in other slots, one for those of each.
      const bool together = shape_.shares_slots(), before = resets_before(shape_.cell);
      const bool apart = is_norm(shape_.cell);  // whether biases are added to what is neither x's product nor h's
      std::deque<GradientShare<T>> gradients, of_h, projections;
      std::deque<FactorShares<T>> factors;
      for (int part = 0; part < parts; ++part) {
        if (to.weight_ih || (to.bias_ih && !is_norm(shape_.cell)) || (together && to.weight_hh))
          gradients.emplace_back(kernels_, weight_rows, to.weight_ih ? pass.input_size : 0,
                                 together && to.weight_hh ? S : 0, part, parts);
        if (!together && (to.weight_hh || (to.bias_hh && !is_norm(shape_.cell)))) {
          of_h.emplace_back(kernels_, slots_of_h(shape_.cell) * H, 0, to.weight_hh ? S : 0, part, parts);
          if (before) projections.emplace_back(kernels_, H, to.weight_hh ? H : 0, 0, part, parts);
        }
        if (shape_.projection_size && to.weight_hr)
          projections.emplace_back(kernels_, shape_.projection_size, H, 0, part, parts);
        if (shape_.peephole || is_norm(shape_.cell)) factors.emplace_back(kernels_, shape_, to, part, parts);
      }
      team.run([&](int rank) {
        const auto own = static_cast<std::size_t>(rank);
        const bool in_loop = rank < split.threads();
        const Share share(split, in_loop ? rank : 0, rows_, 1, layout.panels());
        const Members members(tape_.plan, share.rows, rows_, share.row_part, share.row_parts);
        BackwardLoop<T> loop(shape_, kernels_, tape_.plan, packed_.zeros.data(), pass, share, members, lists[own]);
        if (in_loop) loop.load_state_gradient(meeting);
        for (Index end = steps_; end > 0;) {
          const BackwardChunk<T> chunk = chunk_at({std::max<Index>(end - chunk_steps_, 0), end});
          if (rank == 0)
            terms_.list(shape_, tape_.plan, rows_, pass, chunk, time_major(gates_.data(), rows_, gate_rows_));
          const Index row_products = weight_rows * (pass.input_size + S) / parts;
          if (tape_.makes_gates()) {
            all.wait();
            if (!meeting.is_over(terms_.count * row_products)) make_gates(pass, part_of(terms_.count, rank, parts));
            all.wait();
          }
          if (in_loop) loop.run(chunk, meeting);
          all.wait();
          if (!meeting.is_over(terms_.count * row_products)) {
            if (wants_dx) input_gradient(pass, part_of(terms_.count, rank, parts));
            if (!gradients.empty())
              gradients[own].add(terms_.count, terms_.dz.data(), first_slot_of_x(shape_.cell) * H, terms_.x.data(),
                                 terms_.h.data());
            if (!of_h.empty())
              of_h[own].add(terms_.count, terms_.dz.data(), first_dz_of_h(shape_.cell) * H, nullptr, terms_.h.data());
            if (!projections.empty())
              projections[own].add(terms_.count, before ? terms_.dz.data() : terms_.dh.data(), before ? 2 * H : 0,
                                   terms_.m.data(), nullptr);
            if (!factors.empty()) factors[own].add(terms_);
          }
          all.wait();  // before the next chunk overwrites dz
          end = chunk.steps.begin;
        }
        // Slots of x may begin with a gate that is not the first of the weights' rows.
        const Index first_gate = gate_of_x(shape_.cell, first_slot_of_x(shape_.cell)) * H;
        if (!gradients.empty())
          gradients[own].finish(first_gate, to.weight_ih, together ? to.weight_hh : nullptr,
                                apart ? nullptr : to.bias_ih, together ? to.bias_hh : nullptr);
        if (!of_h.empty()) of_h[own].finish(0, nullptr, to.weight_hh, apart ? nullptr : to.bias_hh, nullptr);
        if (!projections.empty() && !before)
          projections[own].finish(0, to.weight_hr, nullptr, nullptr, nullptr);
        else if (!projections.empty())
          projections[own].finish(0, to.weight_hh ? to.weight_hh + 2 * H * H : nullptr, nullptr,
                                  to.bias_hh ? to.bias_hh + 2 * H : nullptr, nullptr);
        if (!factors.empty()) factors[own].finish();
        if (p == 0 && wants_dx) zero_past_the_ends(part_of(rows_, rank, parts));
      });
      if (watch.was_over()) throw GivenUp();
    }
  }

 private:
  // The lowest layer of which anything is wanted.
  Index lowest_layer() const {
    if (call_.dx.data || call_.wants_state || call_.dcut_h) return 0;
    const auto wanted = [](const PassParameters<T>& g) {
      return g.weight_ih || g.weight_hh || g.bias_ih || g.weight_hr || g.weight_ch || g.gain_ih || g.gain_hh ||
             g.gain_c || g.bias_c;
    };
    Index p = 0;
    while (p < shape_.passes() && !wanted(call_.gradients[p])) ++p;
    return p / shape_.directions;
  }

  Index steps_of_chunk() const {
    const Index row_bytes = rows_ * gate_rows_ * static_cast<Index>(sizeof(T));
    const Index steps = std::max(kChunkBytes / std::max<Index>(row_bytes, 1), kChunkTerms / std::max<Index>(rows_, 1));
    return std::clamp<Index>(steps, 1, std::max<Index>(steps_, 1));
  }

  Buffer<T> chunk_of(Index features) const { return Buffer<T>(checked_product({chunk_steps_, rows_, features})); }

  BackwardChunk<T> chunk_at(const Range& steps) const {
    BackwardChunk<T> chunk = {};
    chunk.steps = steps;
    chunk.dz = time_major(dz_.data(), rows_, dz_stride_);
    if (tape_.makes_gates()) chunk.gates = as_const(time_major(gates_.data(), rows_, gate_rows_));
    if (dh_.data()) chunk.dh = time_major(dh_.data(), rows_, odd_lines<T>(shape_.state_size()));
    chunk.passed = passed_.data();
    if (shape_.second_product()) {
      chunk.m = time_major(m_.data(), rows_, shape_.hidden_size);
    }
    chunk.dm = dm_.data();
    return chunk;
  }

  // Gradient of the output of layer l, which is the dx of the layer above.
  Sequence<T> between(Index layer) const {
    const Index k = layer % static_cast<Index>(between_.size());
    return time_major(between_[static_cast<std::size_t>(k)].data(), rows_, shape_.directions * shape_.state_size(),
                      tape_.plan.rows_before());
  }

  BackwardPass<T> pass_at(Index p) const {
    const Index H = shape_.hidden_size, S = shape_.state_size(), D = shape_.directions;
    const Index layer = p / D, direction = p % D, last = shape_.num_layers - 1;
    const auto at = static_cast<std::size_t>(p);
    const Index* const rows_before = tape_.plan.rows_before();
    const Sequence<const T> output = layer == last ? tape_.y : as_const(tape_.output_of(layer, D * S));
    BackwardPass<T> pass = {};
    pass.order = {steps_, shape_.runs_in_reverse(direction)};
    pass.input_size = shape_.layer_input(layer);
    pass.rows = rows_;
    if (tape_.options.renewed) pass.renewed = tape_.options.renewed + p * tape_.plan.stored(steps_, rows_) * S;
    pass.x = layer ? as_const(tape_.input_of(layer, D * S)) : tape_.x;
    pass.h = features_from(output, direction * S);
    pass.h0 = tape_.h0() + p * rows_ * S;
    const Index cut_rows = tape_.options.cut_rows;
    const T* const zeros = packed_.zeros.data();
    pass.cut_h = pass_of<T>(cut_rows ? tape_.cut_h() : nullptr, cut_rows, S, p, zeros);
    pass.cut_c = pass_of<T>(cut_rows && has_memory(shape_.cell) ? tape_.cut_c() : nullptr, cut_rows, H, p, zeros);
    if (call_.dcut_h) pass.dcut_h = call_.dcut_h + p * rows_ * S;
    if (tape_.keeps_gates()) pass.gates = as_const(tape_.gates(p, gate_rows_));
    if (has_memory(shape_.cell)) {
      const Index memory = p * rows_ * H;
      pass.c = as_const(tape_.c(p, H));
      pass.c0 = tape_.c0() + memory;
      pass.dc = call_.dc0 + memory;
      pass.dc_n = call_.dc_n ? call_.dc_n + memory : nullptr;
      if (layer == last && call_.dc.data) pass.dc_y = features_from(packed_by(rows_before, call_.dc), direction * H);
      if (call_.dcut_c) pass.dcut_c = call_.dcut_c + memory;
    }
    const Sequence<const T> dy = layer == last ? packed_by(rows_before, call_.dy) : as_const(between(layer));
    pass.dy = features_from(dy, direction * S);
    pass.dh_n = call_.dh_n ? call_.dh_n + p * rows_ * S : nullptr;
    pass.dh = call_.dh0 + p * rows_ * S;
    pass.wants_state = call_.wants_state;
    pass.dx = layer ? between(layer - 1) : packed_by(rows_before, call_.dx);
    pass.add_to_dx = direction < D - 1;  // passes run from the last
    if (layer && direction == 0 && tape_.options.masks)
      pass.masks = tape_.options.masks + (layer - 1) * tape_.plan.stored(steps_, rows_) * D * S;
    pass.index = at;
    pass.forward = &packed_.forward[at];
    pass.packing = &packings_[at];
    pass.variant = packed_.variant_or_null();
    pass.peepholes = packed_.peepholes_at(at);
    pass.norm = packed_.norm_at(at);
    return pass;
  }

  // The gates of these terms, as forward made them: h is known at every step, so all at once.
  void make_gates(const BackwardPass<T>& pass, const Range& terms) const {
    if (terms.size() == 0) return;
    ForwardStep<T> step = {};
    step.rows = terms.size();
    step.input_size = pass.input_size;
    step.hidden_size = shape_.hidden_size;
    step.state_size = shape_.state_size();
    step.panel_end = pass.forward->layout().panels();
    step.panels = pass.forward->panels();
    step.x = {nullptr, 0, terms_.x.data() + terms.begin};
    step.h = {nullptr, 0, terms_.h.data() + terms.begin};
    step.gates = {nullptr, 0, terms_.gates.data() + terms.begin};
    step.ask_from = heuristics_for(kernels_).ask_from;
    step.variant = pass.variant;
    if (resets_before(shape_.cell)) step.h_out = {nullptr, 0, terms_.m.data() + terms.begin};
    kernels_.forward_step[static_cast<int>(shape_.cell)](step);
    if (!resets_before(shape_.cell)) return;
    const ForwardLoop<T> loop(packed_, pass.index);
    loop.add_candidate(step.h_out, step.gates, step.rows, {0, loop.second_panels()}, terms_.sums.data() + terms.begin);
  }

  // dx of these terms.
  void input_gradient(const BackwardPass<T>& pass, const Range& terms) const {
    const GateProduct<T> product = {terms.size(),
                                    shape_.gates(),
                                    shape_.hidden_size,
                                    pass.input_size,
                                    0,
                                    PanelLayout{1, pass.input_size, kernels_.lanes}.panels(),
                                    pass.packing->input_panels(),
                                    {{}, 1, terms_.dz.data() + terms.begin},
                                    {{}, 1, terms_.dx.data() + terms.begin},
                                    pass.add_to_dx,
                                    heuristics_for(kernels_).ask_from};
    kernels_.gate_product(product);
    if (!pass.masks) return;
    for (Index k = terms.begin; k < terms.end; ++k) {
      T* const dx = terms_.dx.data()[k];
      const bool* const masks = pass.masks + (dx - pass.dx.data);  // of the same shape, both dense
      drop_out_row(tape_.options, masks, pass.input_size, dx, dx);
    }
  }

  void zero_past_the_ends(const Range& rows) const {
    if (tape_.plan.plain()) return;
    for (Index b = rows.begin; b < rows.end; ++b) zero_past_the_end(tape_.plan, b, steps_, call_.dx, shape_.input_size);
  }

  const Packed& packed_;
  const NetworkShape& shape_;
  const KernelTable<T>& kernels_;
  const std::deque<BackwardPacking<T>>& packings_;
  const Kept& tape_;
  const BackwardCall<T>& call_;
  const Index rows_;
  const Index steps_;  // none when there are no rows, however long the call was
  const Index gate_rows_;
  const Index dz_stride_;  // between rows, of G*H
  const Index chunk_steps_;
  Buffer<T> dz_;      // [chunk_steps, B, dz_stride]
  Buffer<T> gates_;   // [chunk_steps, B, G*H]; empty when the tape has them
  Buffer<T> dh_, m_;  // [chunk_steps, B, S] of a projection or zoneout, [chunk_steps, B, H] of a second product
  Buffer<T> passed_;  // [B, S], of zoneout
  Buffer<T> dm_;      // [B, H]
  Terms<T> terms_;
  std::vector<Buffer<T>> between_;  // gradients between layers take turns
};

}  // namespace

template <class T>
void Network<T>::backward(const Tape<T>& tape, const BackwardCall<T>& call) const {
  const DefaultFloats floats;
  BackwardRun<T>(*packed_, tape.kept(), call).run();
}

template void Network<float>::backward(const Tape<float>&, const BackwardCall<float>&) const;
template void Network<double>::backward(const Tape<double>&, const BackwardCall<double>&) const;

}  // namespace lstmfast
