#include "jax/request.h"

#include "lstmfast/named_shape.h"

namespace lstmfast::jax {
namespace {

NetworkShape shape_of(const Named& named) {
  std::optional<GivenVariant> variant;
  if (named.integer("variant")) {
    const auto activation = [&](const std::string& which) {
      return GivenActivation{named.text(which.c_str()), named.number((which + "_alpha").c_str()),
                             named.number((which + "_beta").c_str())};
    };
    variant = GivenVariant{activation("f"), activation("g"), activation("h"), named.number("clip"),
                           named.integer("peephole") != 0};
  }
  return checked_shape(named.text("cell"), named.integer("input_size"), named.integer("hidden_size"),
                       named.integer("num_layers"), named.integer("bidirectional") != 0, named.integer("bias") != 0,
                       named.integer("proj_size"), variant, named.integer("reverse") != 0, 0.0);
}

template <class Int>
std::vector<Index> checked_lengths(const Int* lengths, Index steps, Index rows) {
  std::vector<Index> found(lengths, lengths + rows);
  for (Index b = 0; b < rows; ++b)
    if (lengths[b] < 0 || lengths[b] > steps)
      throw std::invalid_argument("lengths: expected 0 to " + std::to_string(steps) + " (x's time steps), got " +
                                  std::to_string(lengths[b]) + " at [" + std::to_string(b) + "]");
  // Plain calls are faster.
  const bool all = std::all_of(found.begin(), found.end(), [&](Index length) { return length == steps; });
  return all ? std::vector<Index>() : found;
}

}  // namespace

Request::Request(const Frame& frame) : shape(shape_of(Named(frame.attributes))) {
  const Named named(frame.attributes);
  batch_first = named.integer("batch_first") != 0;
  recompute = named.integer("recompute") != 0;
  dropout_scale = named.number("dropout_scale");
  samples = named.integer("samples");
  given = " " + named.text("given") + " ";
  wanted = " " + named.text("wanted") + " ";
  gradients = named.text("gradients");
}

Times taken_times(const Request& request, Taking& arguments, Index steps, Index rows) {
  Times times;
  if (request.gives("lengths")) {
    if (arguments.peek("lengths").dtype == kInt32)
      times.lengths = checked_lengths(arguments.take<const std::int32_t>("lengths", {rows}), steps, rows);
    else
      times.lengths = checked_lengths(arguments.take<const std::int64_t>("lengths", {rows}), steps, rows);
  }
  if (request.gives("reset")) {
    times.reset = arguments.take<const bool>("reset", {steps, rows});
    if (std::none_of(times.reset, times.reset + steps * rows, [](bool anew) { return anew; })) times.reset = nullptr;
  }
  if (request.gives("dropped")) {
    const Index features = request.shape.directions * request.shape.state_size();
    times.dropped = arguments.take<const bool>("dropped", {request.shape.num_layers - 1, steps, rows, features});
  }
  return times;
}

template <class T>
Weights<T>::Weights(const NetworkShape& shape, Taking& arguments) {
  for (Index pass = 0; pass < shape.passes(); ++pass) {
    PassParameters<const T> parameters = {};
    for_parameters<const T>(shape, pass, [&](auto member, const char* name, std::initializer_list<Index> sizes) {
      Index bytes = sizeof(T);
      for (const Index size : sizes) bytes *= size;
      parameters.*member = arguments.take<const T>(name, sizes);
      pieces.push_back({parameters.*member, bytes});
    });
    passes.push_back(parameters);
  }
}

template struct Weights<float>;
template struct Weights<double>;

Extent extent_of(const Request& request, const XlaBuffer& x) {
  const Index axes = request.samples >= 0 && x.rank == 4 ? 4 : 3;
  if (x.rank != axes)
    throw std::invalid_argument("x: expected three axes, got shape " + shown(x.sizes, x.sizes + x.rank));
  const std::int64_t* const sizes = x.sizes + axes - 3;
  const Index outer = static_cast<Index>(sizes[0]), inner = static_cast<Index>(sizes[1]);
  return request.batch_first ? Extent{inner, outer} : Extent{outer, inner};
}

}  // namespace lstmfast::jax
