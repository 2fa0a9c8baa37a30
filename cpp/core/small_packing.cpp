#include "core/small_packing.h"

#include <algorithm>
#include <cstdint>

namespace lstmfast {
namespace {

constexpr Index kFloat = sizeof(float);

// Panels of so many bytes each, zero where nothing is set.
struct Panels {
  PanelLayout layout;
  Index panel_bytes;
  Buffer<float> memory;

  // beyond: bytes behind the last one.
  Panels(const PanelLayout& panel_layout, Index bytes, Index beyond = 0)
      : layout(panel_layout),
        panel_bytes(bytes),
        memory((checked_product({layout.panels(), bytes}) + beyond) / kFloat) {
    memory.fill_zero();
  }

  // `offset` bytes into the panel of a unit.
  template <class T>
  T* at(Index unit, Index offset) const {
    return reinterpret_cast<T*>(reinterpret_cast<char*>(memory.data()) + layout.panel_of(unit) * panel_bytes + offset);
  }
};

// Weights of 16 bits, whichever: strips of `heads` rows of float and then [k][vector][lane].
struct HalfPanels : Panels {
  Index strip_bytes, head_bytes;

  HalfPanels(const PanelLayout& panel_layout, Index heads, Index terms)
      : Panels(panel_layout, checked_product({2 * heads + terms, panel_layout.width(), 2})),
        strip_bytes((2 * heads + terms) * panel_layout.strip_width() * 2),
        head_bytes(heads * panel_layout.strip_width() * kFloat) {}

  float& bias(Index group, Index unit) const { return *in_strip<float>(group, unit, 0); }
  // from: [n], terms [first, first + n) of a column.
  void set(Index group, Index unit, Index first, const std::uint16_t* from, Index n) const {
    auto* const weights = in_strip<std::uint16_t>(group, unit, head_bytes);
    for (Index k = 0; k < n; ++k) weights[(first + k) * layout.strip_width()] = from[k];
  }

 private:
  // The column of a row that begins so many bytes into its strip.
  template <class T>
  T* in_strip(Index group, Index unit, Index offset) const {
    const Index column = layout.column_of(group, unit), width = layout.strip_width();
    return at<T>(unit, column / width * strip_bytes + offset) + column % width;
  }
};

// What kernels count on: -127..127. Quantizing makes no -128.
std::int8_t whole(std::int8_t weight) { return std::max<std::int8_t>(weight, -127); }

// Int8Panel, filled.
struct Int8Panels : Panels {
  Int8Panel parts;

  Int8Panels(const PanelLayout& panel_layout, const Int8Panel& panel)
      : Panels(panel_layout, panel.bytes(), kInt8Beyond), parts(panel) {}

  float& bias(Index group, Index unit) const { return at<float>(unit, 0)[layout.column_of(group, unit)]; }

  // One row of W_ih, or of W_hh. from: [n].
  void set(Index group, Index unit, bool h, const std::int8_t* from, Index n, float scale) const {
    const Index column = layout.column_of(group, unit), width = layout.width(), together = parts.together;
    at<float>(unit, parts.scales(h))[column] = scale;
    auto* const weights = at<std::int8_t>(unit, parts.weights(h));
    for (Index k = 0; k < n; ++k)
      weights[k / together * together * width + column * together + k % together] = whole(from[k]);
    for (Index first = 0, chunk = 0; first < n; first += kInt8Terms, ++chunk) {
      std::int32_t sum = 0;
      for (Index k = first; k < std::min(first + kInt8Terms, n); ++k) sum += whole(from[k]);
      at<std::int32_t>(unit, parts.starts(h, chunk))[column] = -kInt8Offset * sum;
    }
  }
};

Buffer<float> inverses(const float* range, Index n) {
  Buffer<float> made(range ? n : 0);
  for (Index k = 0; range && k < n; ++k) made.data()[k] = 1.0f / range[k];
  return made;
}

}  // namespace

ForwardPacking<float> pack_small(const NetworkShape& shape, Index input_size, const KernelTable<float>& kernels,
                                 const SmallParameters& weights, const float* input_range) {
  const PanelLayout layout = forward_layout(shape, kernels);
  const Index I = input_size, S = shape.state_size();
  // Each slot of each unit, and the rows of W_ih and W_hh that it has; less than 0: none.
  const auto for_slots = [&](auto&& each) {
    for (Index slot = 0; slot < layout.groups; ++slot)
      for (Index u = 0; u < layout.units; ++u) {
        const Index of_x = gate_of_x(shape.cell, slot), of_h = gate_of_h(shape.cell, slot);
        each(slot, u, of_x < 0 ? of_x : of_x * layout.units + u, of_h < 0 ? of_h : of_h * layout.units + u);
      }
  };
  if (kernels.weights == Weights::int8) {
    Int8Panels panels(layout, {layout.width(), kernels.together, I, S});
    const auto* const ih = static_cast<const std::int8_t*>(weights.weight_ih);
    const auto* const hh = static_cast<const std::int8_t*>(weights.weight_hh);
    for_slots([&](Index slot, Index u, Index of_x, Index of_h) {
      panels.bias(slot, u) = slot_bias(shape.cell, slot, layout.units, u, weights);
      if (of_x >= 0) panels.set(slot, u, false, ih + of_x * I, I, weights.scale_ih[of_x]);
      if (of_h >= 0) panels.set(slot, u, true, hh + of_h * S, S, weights.scale_hh[of_h]);
    });
    return {layout, I, S, std::move(panels.memory), inverses(input_range, I)};
  }
  HalfPanels panels(layout, 1, I + S);
  const auto* const ih = static_cast<const std::uint16_t*>(weights.weight_ih);
  const auto* const hh = static_cast<const std::uint16_t*>(weights.weight_hh);
  for_slots([&](Index slot, Index u, Index of_x, Index of_h) {
    panels.bias(slot, u) = slot_bias(shape.cell, slot, layout.units, u, weights);
    if (of_x >= 0) panels.set(slot, u, 0, ih + of_x * I, I);
    if (of_h >= 0) panels.set(slot, u, I, hh + of_h * S, S);
  });
  return {layout, I, S, std::move(panels.memory), {}};
}

ProjectionPacking<float> pack_small_projection(const NetworkShape& shape, const KernelTable<float>& kernels,
                                               const SmallParameters& weights) {
  const PanelLayout layout = {1, shape.second_product(), kernels.lanes, kernels.strip};
  const Index H = shape.hidden_size;
  const bool of_hh = resets_before(shape.cell);  // the rows of n
  const Index first = of_hh ? 2 * H : 0;
  const void* const given = of_hh ? weights.weight_hh : weights.weight_hr;
  if (kernels.weights == Weights::int8) {
    Int8Panels panels(layout, {layout.width(), kernels.together, 0, H});
    const auto* const weight = static_cast<const std::int8_t*>(given);
    const float* const scale = of_hh ? weights.scale_hh : weights.scale_hr;
    for (Index u = 0; u < layout.units; ++u) panels.set(0, u, true, weight + (first + u) * H, H, scale[first + u]);
    return {layout, H, std::move(panels.memory)};
  }
  HalfPanels panels(layout, 0, H);
  const auto* const weight = static_cast<const std::uint16_t*>(given);
  for (Index u = 0; u < layout.units; ++u) panels.set(0, u, 0, weight + (first + u) * H, H);
  return {layout, H, std::move(panels.memory)};
}

}  // namespace lstmfast
