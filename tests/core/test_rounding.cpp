// Numbers in 16 bits and in 8: every pattern there and back, what lies halfway between two, the largest and the least.
#include "core/rounding.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "lstmfast/kernel_table.h"
#include "random.h"

namespace {

using namespace lstmfast;

// By the format's definition, in double.
double value_of_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double magnitude = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}

double value_of_brain(std::uint16_t bits) { return static_cast<double>(float_of(std::uint32_t(bits) << 16)); }

bool is_finite_half(std::uint16_t bits) { return (bits & 0x7c00) != 0x7c00; }
bool is_finite_brain(std::uint16_t bits) { return (bits & 0x7f80) != 0x7f80; }

std::string shown(std::uint32_t bits) { return "bits " + std::to_string(bits); }

void test_every_half() {
  for (std::uint32_t k = 0; k < 0x10000; ++k) {
    const auto half = static_cast<std::uint16_t>(k);
    const float wide = from_float16(half);
    CHECK(std::signbit(wide) == (k >= 0x8000), shown(k));
    if (is_finite_half(half)) {
      CHECK(static_cast<double>(wide) == value_of_half(half), shown(k));
      CHECK(to_float16(wide) == half && cast_to_float16(wide) == half, shown(k) + " and back");
    } else if ((k & 0x3ff) == 0) {
      CHECK(std::isinf(wide) && cast_to_float16(wide) == half, shown(k) + ": infinite");
    } else {
      CHECK(std::isnan(wide), shown(k) + ": none");
      const std::uint16_t back = cast_to_float16(wide);
      CHECK(!is_finite_half(back) && (back & 0x3ff) != 0 && (back >> 15) == (half >> 15), shown(k) + ": still none");
    }
  }
}

void test_every_brain() {
  for (std::uint32_t k = 0; k < 0x10000; ++k) {
    const auto brain = static_cast<std::uint16_t>(k);
    if (is_finite_brain(brain)) CHECK(to_bfloat16(float_of(k << 16)) == brain, shown(k));
  }
}

// Between each number and the next one: the middle to the even one, what is beside it to the nearer.
template <class Value, class To>
void test_between(std::uint16_t largest, const Value& value, const To& to, const char* what) {
  for (std::uint32_t sign : {0u, 0x8000u})
    for (std::uint32_t k = 0; k < largest; ++k) {
      const auto low = static_cast<std::uint16_t>(k | sign), high = static_cast<std::uint16_t>(low + 1);
      const auto middle = static_cast<float>((value(low) + value(high)) / 2);       // exact
      if ((value(low) + value(high)) / 2 != static_cast<double>(middle)) continue;  // but for float's own denormals
      const std::string where = std::string(what) + " after " + shown(low);
      CHECK(to(middle) == (low % 2 ? high : low), where + ": the middle");
      CHECK(to(std::nextafterf(middle, static_cast<float>(value(low)))) == low, where + ": below it");
      CHECK(to(std::nextafterf(middle, static_cast<float>(value(high)))) == high, where + ": above it");
    }
}

void test_the_largest() {
  const float infinity = std::numeric_limits<float>::infinity(), most = std::numeric_limits<float>::max();
  for (const float sign : {1.0f, -1.0f}) {
    const auto bit = static_cast<std::uint16_t>(sign < 0 ? 0x8000 : 0);
    const auto largest = static_cast<std::uint16_t>(bit | 0x7bff), infinite = static_cast<std::uint16_t>(bit | 0x7c00);
    for (const float number : {65504.0f, 65519.996f}) {
      CHECK(to_float16(sign * number) == largest, "a weight that rounds to the largest");
      CHECK(cast_to_float16(sign * number) == largest, "a number that rounds to the largest");
    }
    for (const float number : {65520.0f, 65536.0f, 1e6f, most}) {
      CHECK(to_float16(sign * number) == largest, "a weight that is too large");
      CHECK(cast_to_float16(sign * number) == infinite, "a number that is too large");
    }
    CHECK(cast_to_float16(sign * infinity) == infinite, "infinite");
    CHECK(to_bfloat16(sign * most) == (bit | 0x7f7f), "a weight too large for bfloat16");
    CHECK(to_float16(sign * 0x1p-25f) == bit, "half of the least number is zero's");
    CHECK(to_float16(sign * 0x1.8p-25f) == (bit | 1), "three quarters are its own");
    for (const float number : {0x1p-149f, 0x1p-126f, 0.0f}) CHECK(to_float16(sign * number) == bit, "tiny");
  }
}

void test_whole_numbers() {
  test::Random random(5);
  for (const Index count : {1, 2, 7, 64, 1000})
    for (const double scale : {1.0, 1e-3, 1e6, 1e-38, 1e-44, 0.0}) {
      const auto row = random.vector<float>(count, scale);
      std::vector<std::int8_t> found(row.size(), 99);
      float largest = 0;
      for (const float w : row) largest = std::max(largest, std::fabs(w));
      const float by = to_int8(row.data(), count, found.data());
      CHECK(by == std::max(largest / 127.0f, kLeastScale), "its scale");
      for (std::size_t k = 0; k < row.size(); ++k) {
        const double quotient = static_cast<double>(row[k] / by);
        const double whole = static_cast<double>(found[k]);
        CHECK(std::fabs(whole) <= 127 && std::fabs(quotient - whole) <= 0.5, "the nearest whole number");
        if (std::fabs(quotient - whole) == 0.5) CHECK(found[k] % 2 == 0, "the even one of two");
      }
    }
  const float halves[] = {127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -126.5f, -127.0f};
  const std::int8_t expected[] = {127, 0, 2, 2, 0, -2, -126, -127};
  std::int8_t found[8];
  CHECK(to_int8(halves, 8, found) == 1.0f, "a scale of 1");
  for (int k = 0; k < 8; ++k) CHECK(found[k] == expected[k], "halves");
}

}  // namespace

int main() {
  test_every_half();
  test_every_brain();
  test_between(0x7bff, value_of_half, to_float16, "float16");
  test_between(0x7bff, value_of_half, cast_to_float16, "float16, any number");
  test_between(0x7f7f, value_of_brain, to_bfloat16, "bfloat16");
  test_the_largest();
  test_whole_numbers();
  return test::finish("rounding");
}
