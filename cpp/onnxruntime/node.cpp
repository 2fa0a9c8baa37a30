#include "onnxruntime/node.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>

#include "onnxruntime/errors.h"

namespace lstmfast::onnxruntime {
namespace {

// Attributes by name. Those with defaults of the operator's are always there.
class Attributes {
 public:
  Attributes(const Api& api, const Node* node) : api_(api), node_(node) {}

  std::int64_t integer(const char* name, std::int64_t otherwise) const {
    return has(name, kIntAttribute) ? value<std::int64_t>() : otherwise;
  }
  double real(const char* name, double otherwise) const {
    return has(name, kFloatAttribute) ? static_cast<double>(value<float>()) : otherwise;
  }
  std::string text(const char* name, const char* otherwise) const {
    if (!has(name, kStringAttribute)) return otherwise;
    const std::vector<char> bytes = all<char>();
    return {bytes.begin(), std::find(bytes.begin(), bytes.end(), '\0')};
  }
  std::vector<float> reals(const char* name) const {
    return has(name, kFloatsAttribute) ? all<float>() : std::vector<float>();
  }
  std::vector<std::string> texts(const char* name) const {
    std::vector<std::string> found;
    if (!has(name, kStringsAttribute)) return found;
    const std::vector<char> bytes = all<char>();  // one after the other, each with a 0 at its end
    for (auto from = bytes.begin(); from != bytes.end();) {
      const auto end = std::find(from, bytes.end(), '\0');
      found.emplace_back(from, end);
      from = end == bytes.end() ? end : end + 1;
    }
    return found;
  }

 private:
  bool has(const char* name, int type) const {
    attribute_ = nullptr;
    type_ = 0;
    if (!succeeded(api_, api_.Node_GetAttributeByName()(node_, name, &attribute_)) || !attribute_) return false;
    check(api_.OpAttr_GetType()(attribute_, &type_));
    return type_ == type;
  }

  template <class T>
  T value() const {
    T found = {};
    std::size_t needed = 0;
    check(api_.ReadOpAttr()(attribute_, type_, &found, sizeof found, &needed));
    return found;
  }

  template <class T>
  std::vector<T> all() const {
    std::size_t bytes = 0;
    // Fails for want of room, unless there is nothing to read, and says how much it takes.
    succeeded(api_, api_.ReadOpAttr()(attribute_, type_, nullptr, 0, &bytes));
    std::vector<T> found(bytes / sizeof(T));
    if (!found.empty()) check(api_.ReadOpAttr()(attribute_, type_, found.data(), bytes, &bytes));
    return found;
  }

  const Api& api_;
  const Node* const node_;
  mutable const Attribute* attribute_ = nullptr;  // found last
  mutable int type_ = 0;
};

struct Named {
  const char* name;  // in small letters, for names are told apart without regard to them
  Function function;
  int numbers;         // it takes alpha, or alpha and beta
  double alpha, beta;  // without
};

// Without their numbers Affine, ScaledTanh and ThresholdedRelu have other ones in ONNX Runtime (0) than in the
// operators of these names, which the standard refers to (1, and 0 for Affine's beta).
constexpr Named kFunctions[] = {
    {"tanh", Function::tanh, 0, 0, 0},
    {"sigmoid", Function::sigmoid, 0, 0, 0},
    {"relu", Function::relu, 0, 0, 0},
    {"affine", Function::affine, 2, 1, 0},
    {"leakyrelu", Function::leaky_relu, 1, 0.01, 0},
    {"thresholdedrelu", Function::thresholded_relu, 1, 1, 0},
    {"scaledtanh", Function::scaled_tanh, 2, 1, 1},
    {"hardsigmoid", Function::hard_sigmoid, 2, 0.2, 0.5},
    {"elu", Function::elu, 1, 1, 0},
    {"softsign", Function::softsign, 0, 0, 0},
    {"softplus", Function::softplus, 0, 0, 0},
};
bool has_other_numbers_there(Function function) {
  return function == Function::affine || function == Function::scaled_tanh || function == Function::thresholded_relu;
}

const Named& function_named(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const Named& function : kFunctions)
    if (name == function.name) return function;
  throw Unfit("activations: none of ONNX's is called '" + name + "'");
}

constexpr Activation<double> kTanh = {Function::tanh, 0, 0}, kSigmoid = {Function::sigmoid, 0, 0};

std::vector<Activation<double>> usual_activations(Operator op) {
  if (op == Operator::lstm) return {kSigmoid, kTanh, kTanh};
  if (op == Operator::gru) return {kSigmoid, kTanh};
  return {kTanh};
}

Variant<double> usual_variant(Operator op, double clip) {
  if (op == Operator::rnn) return {kTanh, kTanh, kTanh, clip};
  return {kSigmoid, kTanh, kTanh, clip};
}

// All directions' functions; numbers are dealt out in their order to those that take any, as far as they last.
std::vector<Activation<double>> dealt(const Attributes& attributes, bool as_runtime) {
  const std::vector<float> alphas = attributes.reals("activation_alpha"), betas = attributes.reals("activation_beta");
  std::size_t alpha = 0, beta = 0;
  std::vector<Activation<double>> found;
  for (const std::string& name : attributes.texts("activations")) {
    const Named& function = function_named(name);
    const bool other = as_runtime && has_other_numbers_there(function.function);
    Activation<double> one = {function.function, other ? 0 : function.alpha, other ? 0 : function.beta};
    if (function.numbers > 0 && alpha < alphas.size()) one.alpha = static_cast<double>(alphas[alpha++]);
    if (function.numbers > 1 && beta < betas.size()) one.beta = static_cast<double>(betas[beta++]);
    if (!std::isfinite(one.alpha) || !std::isfinite(one.beta)) throw Unfit("activations: alpha or beta is not finite");
    if (function.numbers == 0) one.alpha = one.beta = 0;
    found.push_back(one);
  }
  return found;
}

ElementType element_of(const Api& api, const ValueInfo* value) {
  const TypeInfo* type = nullptr;
  const TensorInfo* tensor = nullptr;
  int element = kUndefined;
  if (!value || !succeeded(api, api.GetValueInfoTypeInfo()(value, &type)) || !type ||
      !succeeded(api, api.CastTypeInfoToTensorInfo()(type, &tensor)) || !tensor ||
      !succeeded(api, api.GetTensorElementType()(tensor, &element)))
    return kUndefined;
  return static_cast<ElementType>(element);
}

}  // namespace

bool NodeSpec::usual(int direction) const {
  return variants[static_cast<std::size_t>(direction)] == usual_variant(op, 0) && !has_peepholes && !coupled;
}

std::vector<int> NodeSpec::weights() const {
  std::vector<int> inputs = {Input::w, Input::r};
  if (has_bias) inputs.push_back(Input::b);
  if (has_peepholes) inputs.push_back(Input::p);
  if (quantized) inputs.insert(inputs.end(), {Input::w_scale, Input::w_zero, Input::r_scale, Input::r_zero});
  return inputs;
}

NetworkShape NodeSpec::shape(int first, int count, Index input_size, Index hidden) const {
  const bool plain = usual(first);
  const Variant<double>& variant = variants[static_cast<std::size_t>(first)];
  Cell cell = Cell::lstm;
  if (op == Operator::lstm) {
    cell = plain ? Cell::lstm : coupled ? Cell::lstm_coupled : Cell::lstm_variant;
  } else if (op == Operator::gru) {
    cell = !reset_after ? Cell::gru_reset_before : plain ? Cell::gru : Cell::gru_variant;
  } else {
    const bool relu = variant.f == Activation<double>{Function::relu, 0, 0} && variant.clip == 0;
    cell = plain ? Cell::rnn_tanh : relu ? Cell::rnn_relu : Cell::rnn_variant;
  }
  NetworkShape made = {cell, input_size, hidden, 1, count, has_bias};
  if (is_variant(cell)) made.variant = variant;
  made.peephole = has_peepholes;
  made.reverse = count == 1 && (reverse || first == 1);
  return made;
}

const Index* NodeSpec::gate_blocks() const {
  static constexpr Index lstm[] = {0, 2, 3, 1};       // i, f, g, o of i, o, f, c
  static constexpr Index lstm_coupled[] = {0, 3, 1};  // i, g, o
  static constexpr Index gru[] = {1, 0, 2};           // r, z, n of z, r, h
  if (op == Operator::lstm) return coupled ? lstm_coupled : lstm;
  return op == Operator::gru ? gru : nullptr;
}

std::vector<Index> NodeSpec::peephole_blocks() const {
  if (!has_peepholes) return {};
  return coupled ? std::vector<Index>{0, 1} : std::vector<Index>{0, 2, 1};  // of i, o, f
}

std::string NodeSpec::key() const {
  std::string bytes;
  const auto add = [&](const auto& value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
  add(op);
  for (const bool flag : {quantized, reverse, coupled, reset_after, has_bias, has_peepholes}) add(flag);
  add(element);
  add(directions);
  for (const Variant<double>& variant : variants) {
    for (const Activation<double>& one : {variant.f, variant.g, variant.h}) {
      add(one.function);
      add(one.alpha);
      add(one.beta);
    }
    add(variant.clip);
  }
  return bytes;
}

NodeSpec read_node(const Api& api, const Node* node) {
  const char* name = nullptr;
  check(api.Node_GetOperatorType()(node, &name));
  NodeSpec spec = {};
  spec.quantized = !std::strcmp(name, "DynamicQuantizeLSTM");
  spec.op = !std::strcmp(name, "GRU") ? Operator::gru : !std::strcmp(name, "RNN") ? Operator::rnn : Operator::lstm;

  const std::vector<const ValueInfo*> inputs = inputs_of(api, node);
  spec.element = element_of(api, inputs[Input::x]);
  if (spec.element != kFloat && spec.element != kDouble && spec.element != kFloat16)
    throw Unfit("X is not of float16, float32 or float64");
  spec.has_bias = inputs[Input::b] != nullptr;
  spec.has_peepholes = spec.op == Operator::lstm && inputs[Input::p] != nullptr;
  spec.has_lengths = inputs[Input::lengths] != nullptr;
  spec.has_h0 = inputs[Input::initial_h] != nullptr;
  spec.has_c0 = spec.op == Operator::lstm && inputs[Input::initial_c] != nullptr;
  const std::vector<std::string> outputs = outputs_of(api, node);
  for (std::size_t k = 0; k < std::min(outputs.size(), spec.wants.size()); ++k) spec.wants[k] = !outputs[k].empty();

  const Attributes attributes(api, node);
  const std::string direction = attributes.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    throw Unfit("direction: expected forward, reverse or bidirectional, got '" + direction + "'");
  spec.directions = direction == "bidirectional" ? 2 : 1;
  spec.reverse = direction == "reverse";
  const std::int64_t layout = attributes.integer("layout", 0);
  if (layout != 0 && layout != 1) throw Unfit("layout: expected 0 or 1, got " + std::to_string(layout));
  spec.batchwise = layout == 1;
  spec.hidden_size = std::max<Index>(attributes.integer("hidden_size", 0), 0);
  spec.coupled = spec.op == Operator::lstm && attributes.integer("input_forget", 0) != 0;
  spec.reset_after = spec.op != Operator::gru || attributes.integer("linear_before_reset", 0) != 0;
  constexpr double no_clip = static_cast<double>(std::numeric_limits<float>::max());
  const double clip = attributes.real("clip", no_clip);
  if (!(clip > 0)) throw Unfit("clip: expected a number above 0, got " + std::to_string(clip));
  spec.variants.fill(usual_variant(spec.op, clip < no_clip ? clip : 0));

  std::vector<Activation<double>> found = dealt(attributes, spec.element != kDouble && !spec.batchwise);
  const std::size_t each = usual_activations(spec.op).size(), directions = static_cast<std::size_t>(spec.directions);
  // An RNN's default is two of them, for one direction as well.
  if (spec.op == Operator::rnn && found.size() > directions) found.resize(directions);
  if (!found.empty() && found.size() != each * directions)
    throw Unfit("activations: expected " + std::to_string(each) + " for each direction, got " +
                std::to_string(found.size()));
  for (std::size_t k = 0; k < found.size(); ++k) {
    Variant<double>& variant = spec.variants[k / each];
    (k % each == 0 ? variant.f : k % each == 1 ? variant.g : variant.h) = found[k];
  }
  return spec;
}

std::vector<const ValueInfo*> inputs_of(const Api& api, const Node* node) {
  std::size_t count = 0;
  check(api.Node_GetNumInputs()(node, &count));
  std::vector<const ValueInfo*> inputs(std::max<std::size_t>(count, Input::count));
  check(api.Node_GetInputs()(node, inputs.data(), count));
  return inputs;
}

std::vector<std::string> outputs_of(const Api& api, const Node* node) {
  std::size_t count = 0;
  check(api.Node_GetNumOutputs()(node, &count));
  std::vector<const ValueInfo*> values(count);
  check(api.Node_GetOutputs()(node, values.data(), count));
  std::vector<std::string> names;
  for (const ValueInfo* const value : values) {
    const char* name = "";
    if (value) check(api.GetValueInfoName()(value, &name));
    names.emplace_back(name);
  }
  return names;
}

std::string node_key(const char* name, const std::vector<std::string>& outputs) {
  std::string key = name;
  for (const std::string& output : outputs) key += '\n' + output;
  return key;
}

}  // namespace lstmfast::onnxruntime
