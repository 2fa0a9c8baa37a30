#include "lstmfast/dense.h"

#include <algorithm>
#include <deque>

#include "core/float_environment.h"
#include "core/gradients.h"
#include "core/packing.h"
#include "core/split.h"
#include "core/team.h"
#include "core/watch.h"
#include "lstmfast/heuristics.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

// Rows between two looks at whether the call has been given up, and of which addresses are listed at once.
constexpr Index kChunkRows = 4 * kGradientTerms;
// A thread is worth its waking up from so many multiply-adds on: it waits for nobody.
constexpr Index kThreadTerms = 250'000;

int threads_for(Index terms) { return static_cast<int>(std::clamp<Index>(terms / kThreadTerms, 1, get_num_threads())); }

// Runs each(chunk of rows) for all of them in order, unless the call is given up.
template <class Each>
void in_chunks(const Range& rows, Index row_terms, Watch& watch, Each&& each) {
  for (Index begin = rows.begin; begin < rows.end; begin += kChunkRows) {
    const Range chunk = {begin, std::min(begin + kChunkRows, rows.end)};
    if (watch.or_null() && watch.is_over(chunk.size() * row_terms)) return;
    each(chunk);
  }
}

// Rows of out [N, columns] = rows of `from` [N, terms] times a packed matrix.
template <class T>
void multiply(const KernelTable<T>& kernels, const Range& rows, const T* from, Index terms, const Buffer<T>& packed,
              T* out, Index columns) {
  const Index panels = PanelLayout{1, columns, kernels.lanes, kernels.strip}.panels();
  const Sequence<const T> source = {from + rows.begin * terms, 0, terms};
  const Sequence<T> target = {out + rows.begin * columns, 0, columns};
  kernels.gate_product({rows.size(),
                        1,
                        terms,
                        columns,
                        0,
                        panels,
                        packed.data(),
                        {source, rows.size(), nullptr},
                        {target, rows.size(), nullptr},
                        false,
                        heuristics_for(kernels).ask_from});
}

}  // namespace

template <class T>
void dense_forward(const KernelTable<T>& kernels, const DenseForward<T>& call) {
  const Index I = call.shape.in_features, K = call.shape.out_features;
  const Buffer<T> packed = packed_transpose(call.weight, K, I, kernels);
  const Index terms = call.shape.rows * I * K;
  Team team(threads_for(terms), is_brief(terms));
  Watch watch(terms);
  team.run([&](int rank) {
    const DefaultFloats floats;
    in_chunks(part_of(call.shape.rows, rank, team.size()), I * K, watch, [&](const Range& rows) {
      multiply(kernels, rows, call.x, I, packed, call.z, K);
      if (!call.bias) return;
      for (Index n = rows.begin; n < rows.end; ++n)
        for (Index k = 0; k < K; ++k) call.z[n * K + k] += call.bias[k];
    });
  });
  if (watch.was_over()) throw GivenUp();
}

template <class T>
void dense_backward(const KernelTable<T>& kernels, const DenseBackward<T>& call) {
  const Index I = call.shape.in_features, K = call.shape.out_features;
  const Buffer<T> packed = packed_rows(call.weight, K, I, kernels);
  const Index terms = 2 * call.shape.rows * I * K;
  Team team(threads_for(terms), is_brief(terms));
  const int parts = team.size();
  std::deque<GradientShare<T>> gradients;
  for (int part = 0; part < parts; ++part) gradients.emplace_back(kernels, K, I, 0, part, parts);
  const Buffer<const T*> lists(checked_product({parts, 2, kChunkRows}));
  Watch watch(terms);
  team.run([&](int rank) {
    const DefaultFloats floats;
    in_chunks(part_of(call.shape.rows, rank, parts), I * K, watch,
              [&](const Range& rows) { multiply(kernels, rows, call.dz, K, packed, call.dx, I); });
    GradientShare<T>& own = gradients[static_cast<std::size_t>(rank)];
    const T** const dz = lists.data() + rank * 2 * kChunkRows;
    const T** const x = dz + kChunkRows;
    in_chunks({0, call.shape.rows}, I * K / parts, watch, [&](const Range& rows) {
      for (Index n = rows.begin; n < rows.end; ++n) {
        dz[n - rows.begin] = call.dz + n * K;
        x[n - rows.begin] = call.x + n * I;
      }
      own.add(rows.size(), dz, 0, x, nullptr);
    });
    own.finish(0, call.dweight, nullptr, call.dbias, nullptr);
  });
  if (watch.was_over()) throw GivenUp();
}

template void dense_forward(const KernelTable<float>&, const DenseForward<float>&);
template void dense_forward(const KernelTable<double>&, const DenseForward<double>&);
template void dense_backward(const KernelTable<float>&, const DenseBackward<float>&);
template void dense_backward(const KernelTable<double>&, const DenseBackward<double>&);

}  // namespace lstmfast
