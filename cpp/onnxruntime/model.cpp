#include "onnxruntime/model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>

#include "core/float_environment.h"
#include "core/rounding.h"
#include "lstmfast/fingerprint.h"
#include "onnxruntime/arrays.h"

namespace lstmfast::onnxruntime {
namespace {

// As numbers, and where the gates of a direction are in them.
struct Scales {
  const float* numbers;  // [D], or [D, 4H]
  bool by_row;

  float at(Index direction, Index rows, Index row) const {
    return numbers[by_row ? direction * rows + row : direction];
  }
};

// DynamicQuantizeLSTM's zero points and scales must be such that its whole numbers are ours.
void require_ours(const char* name, const Tensor& weight, const Tensor& scale, const Tensor& zero, Index D,
                  Index rows) {
  const std::string called = name;
  if (weight.element != kInt8) throw Unfit(called + ": its weights are of uint8; those of int8 are taken");
  for (const Tensor* one : {&scale, &zero})
    if (!one->has_sizes({D}) && !one->has_sizes({D, rows}))
      throw Unfit(expected(called + (one == &scale ? "_scale" : "_zero_point"), "[D] or [D, 4*H]", *one));
  const auto* const zeros = zero.as<std::int8_t>();
  if (std::any_of(zeros, zeros + zero.count(), [](std::int8_t one) { return one != 0; }))
    throw Unfit(called + "_zero_point: expected zeros: whole numbers with an offset are not taken");
  const auto* const whole = weight.as<std::int8_t>();
  if (std::find(whole, whole + weight.count(), std::int8_t(-128)) != whole + weight.count())
    throw Unfit(called + ": expected whole numbers from -127 to 127, got -128");
  const float* const scales = scale.as<float>();
  for (Index k = 0; k < scale.count(); ++k)
    if (!(scales[k] >= kLeastScale && std::isfinite(scales[k])))
      throw Unfit(called + "_scale: expected finite numbers of at least 2**-126");
}

// A direction's parameters where they lie.
template <class T>
struct Parts {
  PassParameters<const T> parameters = {};
  std::vector<T> peepholes;
};

template <class T>
Parts<T> part_of_direction(const NodeSpec& spec, const WeightTensors& weights, const Sizes& sizes, Index direction) {
  const Index H = sizes.hidden, rows = spec.blocks() * H;
  Parts<T> part;
  PassParameters<const T>& to = part.parameters;
  if (!spec.quantized) {
    to.weight_ih = weights[Input::w].as<T>() + direction * rows * sizes.input;
    to.weight_hh = weights[Input::r].as<T>() + direction * rows * H;
  }
  if (spec.has_bias) {
    to.bias_ih = weights[Input::b].as<T>() + direction * 2 * rows;
    to.bias_hh = to.bias_ih + rows;
  }
  for (const Index block : spec.peephole_blocks()) {
    const T* const from = weights[Input::p].as<T>() + (direction * 3 + block) * H;
    part.peepholes.insert(part.peepholes.end(), from, from + H);
  }
  to.weight_ch = part.peepholes.empty() ? nullptr : part.peepholes.data();
  to.gate_blocks = spec.gate_blocks();
  return part;
}

// A direction's weights in a smaller kind, rows in our order.
class SmallPart {
 public:
  SmallPart(const NodeSpec& spec, const WeightTensors& weights, const Sizes& sizes, Index direction, Index gates,
            Weights kind)
      : native_(part_of_direction<float>(spec, weights, sizes, direction)) {
    const PassParameters<const float>& from = native_.parameters;
    const Index H = sizes.hidden;
    for (Index gate = 0; gate < gates; ++gate) first_rows_.push_back(from.first_row(gate, H));
    if (spec.quantized) {
      take_whole(weights[Input::w], weights[Input::w_scale], sizes.input, direction, H, ih_);
      take_whole(weights[Input::r], weights[Input::r_scale], H, direction, H, hh_);
    } else {
      round(from.weight_ih, sizes.input, H, kind, ih_);
      round(from.weight_hh, H, H, kind, hh_);
    }
    take_bias(from.bias_ih, H, bias_ih_);
    take_bias(from.bias_hh, H, bias_hh_);
  }

  SmallParameters parameters() const {
    SmallParameters made = {};
    made.weight_ih = ih_.data();
    made.weight_hh = hh_.data();
    made.scale_ih = ih_.scales.empty() ? nullptr : ih_.scales.data();
    made.scale_hh = hh_.scales.empty() ? nullptr : hh_.scales.data();
    made.bias_ih = bias_ih_.empty() ? nullptr : bias_ih_.data();
    made.bias_hh = bias_hh_.empty() ? nullptr : bias_hh_.data();
    made.weight_ch = native_.parameters.weight_ch;
    return made;
  }

 private:
  struct Matrix {
    std::vector<std::uint16_t> halves;
    std::vector<std::int8_t> whole;
    std::vector<float> scales;
    const void* data() const { return whole.empty() ? static_cast<const void*>(halves.data()) : whole.data(); }
  };

  template <class Each>
  void for_rows(Index H, Each&& each) const {
    Index to = 0;
    for (const Index first : first_rows_)
      for (Index u = 0; u < H; ++u) each(first + u, to++);
  }

  void round(const float* from, Index columns, Index H, Weights kind, Matrix& to) const {
    const Index rows = static_cast<Index>(first_rows_.size()) * H;
    if (kind == Weights::int8) {
      to.whole.resize(static_cast<std::size_t>(rows * columns));
      to.scales.resize(static_cast<std::size_t>(rows));
      for_rows(H, [&](Index source, Index row) {
        to.scales[static_cast<std::size_t>(row)] =
            to_int8(from + source * columns, columns, to.whole.data() + row * columns);
      });
      return;
    }
    to.halves.resize(static_cast<std::size_t>(rows * columns));
    const auto one = kind == Weights::float16 ? to_float16 : to_bfloat16;
    for_rows(H, [&](Index source, Index row) {
      std::transform(from + source * columns, from + (source + 1) * columns, to.halves.data() + row * columns, one);
    });
  }

  // weight: [D, columns, 4H].
  void take_whole(const Tensor& weight, const Tensor& scale, Index columns, Index direction, Index H,
                  Matrix& to) const {
    const Index all = 4 * H, rows = static_cast<Index>(first_rows_.size()) * H;
    const auto* const from = weight.as<std::int8_t>() + direction * columns * all;
    const Scales scales = {scale.as<float>(), scale.rank == 2};
    to.whole.resize(static_cast<std::size_t>(rows * columns));
    to.scales.resize(static_cast<std::size_t>(rows));
    for_rows(H, [&](Index source, Index row) {
      to.scales[static_cast<std::size_t>(row)] = scales.at(direction, all, source);
      for (Index k = 0; k < columns; ++k)
        to.whole[static_cast<std::size_t>(row * columns + k)] = from[k * all + source];
    });
  }

  void take_bias(const float* from, Index H, std::vector<float>& to) const {
    if (from) for_rows(H, [&](Index source, Index) { to.push_back(from[source]); });
  }

  Parts<float> native_;
  std::vector<Index> first_rows_;  // of the gates, in our order
  Matrix ih_, hh_;
  std::vector<float> bias_ih_, bias_hh_;
};

bool all_finite(const WeightTensors& weights) {
  for (const int input : {Input::w, Input::r, Input::b, Input::p}) {
    const Tensor& tensor = weights[static_cast<std::size_t>(input)];
    if (tensor.element != kFloat) continue;
    const float* const numbers = tensor.as<float>();
    if (!std::all_of(numbers, numbers + tensor.count(), [](float x) { return std::isfinite(x); })) return false;
  }
  return true;
}

// Tensors of float16 as float, and others as they are, but where numbers may lie. Kept in 16 bits the weights would be
// slower but for few rows.
class Readable {
 public:
  explicit Readable(const WeightTensors& given) : tensors(given) {
    for (Tensor& tensor : tensors) {
      const bool half = tensor.element == kFloat16;
      const auto bytes = static_cast<std::size_t>(tensor.there() ? tensor.bytes() : 0);
      if (!half && tensor.is_aligned(static_cast<std::size_t>(element_bytes(tensor.element)))) continue;
      copies_.emplace_back((half ? 2 * bytes : bytes) / sizeof(double) + 1);
      char* const to = reinterpret_cast<char*>(copies_.back().data());
      if (!half) {
        if (bytes) std::memcpy(to, tensor.data, bytes);
      } else {
        const Index count = tensor.count();
        copy_axes<std::uint16_t, float>(tensor.data, 1, 1, count, false, to,
                                        [](std::uint16_t half_number) { return from_float16(half_number); });
        tensor.element = kFloat;
      }
      tensor.data = to;
    }
  }

  WeightTensors tensors;

 private:
  std::vector<std::vector<double>> copies_;
};

// One network of directions [first, first + count).
template <class T>
std::unique_ptr<Network<T>> network_of(const NodeSpec& spec, const WeightTensors& weights, const Sizes& sizes,
                                       int first, int count, const Packing& packing) {
  const NetworkShape shape = spec.shape(first, count, sizes.input, sizes.hidden);
  if constexpr (std::is_same_v<T, float>) {
    if (packing.kind != Weights::native) {
      std::vector<SmallPart> parts;
      std::vector<SmallParameters> passes;
      for (int d = first; d < first + count; ++d)
        parts.emplace_back(spec, weights, sizes, d, shape.gates(), packing.kind);
      for (const SmallPart& part : parts) passes.push_back(part.parameters());
      return small_network(shape, passes.data(), nullptr, kernels(*packing.isa, packing.kind));
    }
  }
  std::vector<Parts<T>> parts;
  std::vector<PassParameters<const T>> passes;
  for (int d = first; d < first + count; ++d) parts.push_back(part_of_direction<T>(spec, weights, sizes, d));
  for (const Parts<T>& part : parts) passes.push_back(part.parameters);
  return std::make_unique<Network<T>>(shape, passes.data(), kernels<T>(*packing.isa));
}

template <class T>
std::shared_ptr<const Model<T>> make_model(const NodeSpec& spec, const WeightTensors& weights, const Packing& packing) {
  const Sizes sizes = sizes_of(spec, weights);
  auto model = std::make_shared<Model<T>>();
  model->input_size = sizes.input;
  model->hidden_size = sizes.hidden;
  if (spec.directions == 2 && !(spec.variants[0] == spec.variants[1]))
    for (int d = 0; d < 2; ++d) model->networks.push_back(network_of<T>(spec, weights, sizes, d, 1, packing));
  else
    model->networks.push_back(network_of<T>(spec, weights, sizes, 0, spec.directions, packing));
  return model;
}

// All models that nodes have now. Never destroyed: sessions may outlive statics.
template <class T>
struct Made {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<const Model<T>>> models;
};
template <class T>
Made<T>& made() {
  static Made<T>* const all = new Made<T>;
  return *all;
}

}  // namespace

Sizes sizes_of(const NodeSpec& spec, const WeightTensors& weights) {
  const Tensor &w = weights[Input::w], &r = weights[Input::r], &b = weights[Input::b], &p = weights[Input::p];
  const Index D = spec.directions, G = spec.blocks();
  if (r.rank != 3) throw Unfit(expected("R", "three axes", r));
  if (w.rank != 3) throw Unfit(expected("W", "three axes", w));
  // DynamicQuantizeLSTM has them the other way round.
  const Index H = spec.hidden_size ? spec.hidden_size : spec.quantized ? r.size(1) : r.size(2);
  const Index I = spec.quantized ? w.size(1) : w.size(2);
  if (H < 1 || I < 1) throw Unfit("H or I is 0");
  const auto fits = [&](const Tensor& matrix, Index columns) {
    return spec.quantized ? matrix.has_sizes({D, columns, G * H}) : matrix.has_sizes({D, G * H, columns});
  };
  const auto sizes = [&](Index columns) {
    const std::string rows = std::to_string(G * H), other = std::to_string(columns), first = "[" + std::to_string(D);
    return first + ", " + (spec.quantized ? other + ", " + rows : rows + ", " + other) + "]";
  };
  if (!fits(w, I)) throw Unfit(expected("W", sizes(I), w));
  if (!fits(r, H)) throw Unfit(expected("R", sizes(H), r));
  if (spec.has_bias && !b.has_sizes({D, 2 * G * H})) throw Unfit(expected("B", "[D, 2*G*H]", b));
  if (spec.has_peepholes && !p.has_sizes({D, 3 * H})) throw Unfit(expected("P", "[D, 3*H]", p));
  if (spec.quantized) {
    require_ours("W", w, weights[Input::w_scale], weights[Input::w_zero], D, G * H);
    require_ours("R", r, weights[Input::r_scale], weights[Input::r_zero], D, G * H);
  }
  return {I, H};
}

template <class T>
std::shared_ptr<const Model<T>> model_of(const NodeSpec& spec, const WeightTensors& given, const Packing& asked) {
  const DefaultFloats floats;
  const Readable readable(given);
  const WeightTensors& weights = readable.tensors;
  Packing packing = asked;
  if (spec.quantized) packing.kind = Weights::int8;
  if (spec.element == kDouble || (packing.kind != Weights::native && !all_finite(weights)))
    packing.kind = Weights::native;

  std::vector<Piece> pieces;
  std::string key = spec.key() + packing.isa->name + static_cast<char>(packing.kind);
  for (const int input : spec.weights()) {
    const Tensor& tensor = weights[static_cast<std::size_t>(input)];
    pieces.push_back({tensor.data, tensor.bytes()});
    key.append(reinterpret_cast<const char*>(tensor.sizes), tensor.rank * sizeof *tensor.sizes);
  }
  const Fingerprint found =
      fingerprint_of(pieces.data(), static_cast<Index>(pieces.size()), kernels<T>(*packing.isa).fingerprint);
  key.append(reinterpret_cast<const char*>(found.data()), sizeof found);

  // Others that make one meanwhile wait: it may be the same, and two at once would take twice the memory.
  Made<T>& all = made<T>();
  const std::lock_guard<std::mutex> lock(all.mutex);
  std::weak_ptr<const Model<T>>& kept = all.models[key];
  std::shared_ptr<const Model<T>> model = kept.lock();
  if (!model) {
    kept = model = make_model<T>(spec, weights, packing);
    for (auto one = all.models.begin(); one != all.models.end();)
      one = one->second.expired() ? all.models.erase(one) : std::next(one);
  }
  return model;
}

template std::shared_ptr<const Model<float>> model_of(const NodeSpec&, const WeightTensors&, const Packing&);
template std::shared_ptr<const Model<double>> model_of(const NodeSpec&, const WeightTensors&, const Packing&);

}  // namespace lstmfast::onnxruntime
