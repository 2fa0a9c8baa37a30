#include "core/row_plan.h"

#include <algorithm>

namespace lstmfast {

RowPlan::RowPlan(Index steps, Index rows, const RowTimes& times) {
  if (times.plain() || rows == 0) return;
  rows_ = rows;
  length_ = Buffer<Index>(rows);
  order_ = Buffer<Index>(rows);
  active_ = Buffer<Index>(std::max<Index>(steps, 1));
  for (Index b = 0; b < rows; ++b) {
    length_.data()[b] = times.lengths ? times.lengths[b] : steps;
    places_ += length_.data()[b];
    order_.data()[b] = b;
  }
  std::sort(order_.data(), order_.data() + rows,
            [this](Index a, Index b) { return length(a) != length(b) ? length(a) > length(b) : a < b; });
  for (Index t = 0, left = rows; t < steps; ++t) {
    while (left > 0 && length(row(left - 1)) <= t) --left;
    active_.data()[t] = left;
  }
  if (times.packed) {
    rows_before_ = Buffer<Index>(std::max<Index>(steps, 1));
    for (Index t = 0, before = 0; t < steps; before += active(t++)) rows_before_.data()[t] = before;
  }
  if (!times.reset) return;
  reset_ = Buffer<bool>(checked_product({steps, rows}));
  std::copy_n(times.reset, steps * rows, reset_.data());
}

}  // namespace lstmfast
