// What a chunk's products sum over or run over: one term for each pair of step and row, steps from the last to the
// first and rows ascending within a step.
#pragma once

#include "core/backward_loop.h"

namespace lstmfast {

template <class T>
class Terms {
 public:
  Terms(const NetworkShape& shape, Index most, bool makes_gates)
      : x(most),
        h(most),
        dz(most),
        dx(most),
        gates(makes_gates ? most : 0),
        sums(makes_gates && resets_before(shape.cell) ? most : 0),
        dh(shape.projection_size ? most : 0),
        m(shape.second_product() ? most : 0),
        c(shape.peephole ? most : 0),
        c_out(shape.peephole ? most : 0) {}

  // Lists the chunk's terms. gates: where to make them anew; data null for nowhere.
  void list(const NetworkShape& shape, const RowPlan& plan, Index rows, const BackwardPass<T>& pass,
            const BackwardChunk<T>& chunk, const Sequence<T>& gates_anew) {
    count = 0;
    for (Index s = chunk.steps.end; s-- > chunk.steps.begin;) {
      const Index t = pass.order.t(s), k = s - chunk.steps.begin;
      for (Index b = 0; b < rows; ++b) {
        if (!plan.plain() && t >= plan.length(b)) continue;
        const Start start = plan.start(pass.order, s, b);
        x.data()[count] = pass.x.at(t, b);
        h.data()[count] = pass.h_before(t, b, start, shape.state_size());
        dz.data()[count] = chunk.dz.at(k, b);
        if (pass.dx.data) dx.data()[count] = pass.dx.at(t, b);
        if (gates_anew.data) gates.data()[count] = gates_anew.at(k, b);
        if (shape.projection_size) dh.data()[count] = chunk.dh.at(k, b);
        if (shape.second_product()) m.data()[count] = chunk.m.at(k, b);
        if (shape.peephole) {
          c.data()[count] = pass.c_before(t, b, start, shape.hidden_size);
          c_out.data()[count] = pass.c.at(t, b);
        }
        ++count;
      }
    }
  }

  Index count = 0;
  Buffer<const T*> x, h;  // each [layer_input] and [S], what the gates saw
  Buffer<const T*> dz;    // each [G*H]
  Buffer<T*> dx;          // each [layer_input]
  Buffer<T*> gates;       // each [G*H]
  Buffer<T*> sums;        // room for addresses among those
  Buffer<const T*> dh;    // each [P], gradient of what the projection gave
  Buffer<T*> m;           // each [H], what a second product saw
  // Each [H], memory before and after, which peepholes saw.
  Buffer<const T*> c, c_out;
};

}  // namespace lstmfast
