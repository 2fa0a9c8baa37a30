// sigmoid and tanh of every ISA: their error in units in the last place against double, their limits,
// and the same bits on all. tests/bindings/test_activations.py sweeps further.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "lstmfast/isa.h"

namespace {

using namespace lstmfast;

float from_bits(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// |got - want| in units of the last place of the float nearest `want`.
double ulp_error(float got, double want) {
  const float nearest = std::abs(static_cast<float>(want));
  const float next = std::nextafter(nearest, std::numeric_limits<float>::infinity());
  return std::abs(static_cast<double>(got) - want) / (static_cast<double>(next) - static_cast<double>(nearest));
}

double true_sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double true_tanh(double x) { return std::tanh(x); }

using Function = void (*)(Index, const float*, float*);

// Every `stride`-th bit pattern of the finite floats, in both signs.
double worst(Function function, double (*truth)(double), std::uint32_t stride) {
  std::vector<float> x, y;
  double error = 0;
  const std::uint32_t infinity = 0x7f800000u;
  for (std::uint64_t bits = 0; bits < infinity; bits += stride)
    for (const std::uint32_t sign : {0u, 0x80000000u}) x.push_back(from_bits(static_cast<std::uint32_t>(bits) | sign));
  y.resize(x.size());
  function(static_cast<Index>(x.size()), x.data(), y.data());
  for (std::size_t k = 0; k < x.size(); ++k) error = std::max(error, ulp_error(y[k], truth(static_cast<double>(x[k]))));
  return error;
}

float one(Function function, float x) {
  float y;
  function(1, &x, &y);
  return y;
}

}  // namespace

int main() {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const Isa& isa : available_isas()) {
    const double sigmoid_error = worst(isa.f32->sigmoid, true_sigmoid, 4001),
                 tanh_error = worst(isa.f32->tanh, true_tanh, 4001);
    std::printf("%s: sigmoid %.3f ULP, tanh %.3f ULP\n", isa.name.c_str(), sigmoid_error, tanh_error);
    CHECK(sigmoid_error <= 2.0, isa.name + " sigmoid's error");
    CHECK(tanh_error <= 2.5, isa.name + " tanh's error");
    CHECK(one(isa.f32->sigmoid, infinity) == 1 && one(isa.f32->sigmoid, -infinity) == 0,
          isa.name + " sigmoid at infinity");
    CHECK(one(isa.f32->tanh, infinity) == 1 && one(isa.f32->tanh, -infinity) == -1, isa.name + " tanh at infinity");
    CHECK(std::isnan(one(isa.f32->sigmoid, nan)) && std::isnan(one(isa.f32->tanh, nan)), isa.name + " NaN");
    CHECK(test::same_bits(one(isa.f32->tanh, -0.0f), -0.0f), isa.name + " tanh of -0");
    CHECK(one(isa.f32->sigmoid, 0) == 0.5f, isa.name + " sigmoid of 0");

    const Isa& other = available_isas().front();
    for (std::uint64_t bits = 0; bits < 0x7f800000u; bits += 65537)
      for (const std::uint32_t sign : {0u, 0x80000000u}) {
        const float x = from_bits(static_cast<std::uint32_t>(bits) | sign);
        CHECK(test::same_bits(one(isa.f32->sigmoid, x), one(other.f32->sigmoid, x)), isa.name + " sigmoid's bits");
        CHECK(test::same_bits(one(isa.f32->tanh, x), one(other.f32->tanh, x)), isa.name + " tanh's bits");
      }
  }
  return test::finish("math");
}
