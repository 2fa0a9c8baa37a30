// Numbers as smaller ones and back, against a second way in double, which is wide enough to be exact.
#include "core/rounding.h"

#include <cmath>

#include "bytes.h"
#include "lstmfast/kernel_table.h"
#include "target.h"

namespace {

using namespace lstmfast;

// To the nearest of numbers whose last bit is 2^(exponent - digits), but at least 2^least; to even in the middle.
double nearest(double number, int digits, int least) {
  if (number == 0 || !std::isfinite(number)) return number;
  int exponent = 0;
  std::frexp(number, &exponent);  // |number| is in [2^(exponent-1), 2^exponent)
  const int last = std::max(exponent - digits, least);
  return std::ldexp(std::nearbyint(std::ldexp(number, -last)), last);
}

double of_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double magnitude = exponent == 31 ? (mantissa ? NAN : HUGE_VAL)
                           : exponent     ? std::ldexp(1024 + mantissa, exponent - 25)
                                          : std::ldexp(mantissa, -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}

bool same(double a, double b) { return (a != a && b != b) || (a == b && std::signbit(a) == std::signbit(b)); }

void check(float number) {
  const double half = nearest(static_cast<double>(number), 11, -24);
  const double cast = std::fabs(half) > 65504 ? std::copysign(HUGE_VAL, half) : half;
  EXPECT(same(of_half(cast_to_float16(number)), cast), "cast to float16 of " + std::to_string(number));
  if (!std::isfinite(number)) return;
  const double weight = std::fabs(half) > 65504 ? std::copysign(65504.0, half) : half;
  EXPECT(same(of_half(to_float16(number)), weight), "a weight as float16, of " + std::to_string(number));
  const double largest = std::ldexp(255, 120);
  double brain = nearest(static_cast<double>(number), 8, -133);
  if (std::fabs(brain) > largest) brain = std::copysign(largest, brain);
  const float widened = float_of(std::uint32_t(to_bfloat16(number)) << 16);
  EXPECT(same(static_cast<double>(widened), brain), "a weight as bfloat16, of " + std::to_string(number));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  std::vector<float> row;
  while (!bytes.empty() && row.size() < 64) {
    const auto number = bytes.bits<float>();
    check(number);
    const std::uint16_t half = bytes.bits<std::uint16_t>();
    EXPECT(same(static_cast<double>(from_float16(half)), of_half(half)), "float16 " + std::to_string(half));
    if (std::isfinite(number)) row.push_back(number);
  }
  std::vector<std::int8_t> whole(row.size());
  const float scale = to_int8(row.data(), static_cast<Index>(row.size()), whole.data());
  EXPECT(scale >= kLeastScale, "a scale that can be divided by");
  for (std::size_t k = 0; k < row.size(); ++k) {
    EXPECT(whole[k] >= -127, "-128 is none of ours");
    // Half a step, and what dividing in float rounds.
    const double off = std::fabs(static_cast<double>(row[k]) / static_cast<double>(scale) - whole[k]);
    EXPECT(off <= 0.5 + 1e-4, "the nearest whole number");
  }
  return 0;
}
