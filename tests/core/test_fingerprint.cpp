// Fingerprints: the sums that fingerprint.h says, on every ISA and with any number of threads; and no change is missed.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "lstmfast/fingerprint.h"
#include "lstmfast/isa.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using Bytes = std::vector<unsigned char>;

Bytes random_bytes(Index count) {
  test::Random random(9);
  Bytes bytes;
  for (const double number : random.vector<double>(count)) bytes.push_back(static_cast<unsigned char>(number * 127));
  return bytes;
}

Fingerprint of(const std::vector<Bytes>& pieces, const Isa& isa) {
  std::vector<Piece> list;
  for (const Bytes& piece : pieces) list.push_back({piece.data(), static_cast<Index>(piece.size())});
  return fingerprint_of(list.data(), static_cast<Index>(list.size()), isa.f32->fingerprint);
}

// By the formula, word by word.
Fingerprint plain_loop(const std::vector<Bytes>& pieces) {
  Fingerprint sums = {};
  std::uint64_t seed = 0;
  for (const Bytes& piece : pieces) {
    seed += 0xd1b54a32d192ed03u;
    for (std::size_t at = 0; at < piece.size(); at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, piece.data() + at, std::min<std::size_t>(8, piece.size() - at));
      const std::uint64_t column = at / 8 % 8, stripe = at / 64;
      const std::uint64_t hidden = word ^ (seed + column * 0x3243f6a8885a308du + stripe * 0x9e3779b97f4a7c15u);
      sums[column] += word;
      sums[8 + column] += (hidden & 0xffffffffu) * (hidden >> 32);
    }
    // What fills up the last stripe is words of zeros.
    for (std::size_t at = (piece.size() + 7) / 8; at % 8; ++at) {
      const std::uint64_t hidden = seed + at % 8 * 0x3243f6a8885a308du + at / 8 * 0x9e3779b97f4a7c15u;
      sums[8 + at % 8] += (hidden & 0xffffffffu) * (hidden >> 32);
    }
  }
  return sums;
}

void test_sums() {
  for (const Index size : {0, 1, 7, 8, 63, 64, 65, 128, 200, 1000})
    for (const Isa& isa : available_isas()) {
      const std::vector<Bytes> pieces = {random_bytes(size), random_bytes(size / 2)};
      CHECK(of(pieces, isa) == plain_loop(pieces), isa.name + ": " + std::to_string(size) + " bytes");
    }
  const std::vector<Bytes> large = {random_bytes(1'000'003), random_bytes(333'333), random_bytes(70)};
  for (const Isa& isa : available_isas())
    for (const int threads : {1, 2, 3, 5}) {
      set_num_threads(threads);
      for (int call = 0; call < 3; ++call)  // threads take part once they are awake
        CHECK(of(large, isa) == plain_loop(large), isa.name + ": large, " + std::to_string(threads) + " threads");
    }
  set_num_threads(1);
}

void test_changes() {
  const Isa& isa = available_isas().front();
  std::vector<Bytes> pieces = {random_bytes(300), random_bytes(300)};
  const Fingerprint before = of(pieces, isa);
  for (Bytes& piece : pieces)
    for (unsigned char& byte : piece)
      for (int bit = 0; bit < 8; ++bit) {
        byte ^= static_cast<unsigned char>(1 << bit);
        CHECK(of(pieces, isa) != before, "one bit");
        byte ^= static_cast<unsigned char>(1 << bit);
      }
  CHECK(of(pieces, isa) == before, "as before");
  for (std::size_t a = 0; a + 8 <= 296; a += 8)
    for (std::size_t b = a + 8; b + 8 <= 296; b += 8) {
      auto swapped = pieces;
      std::swap_ranges(swapped[0].begin() + static_cast<Index>(a), swapped[0].begin() + static_cast<Index>(a) + 8,
                       swapped[0].begin() + static_cast<Index>(b));
      CHECK(swapped == pieces || of(swapped, isa) != before, "two words change places");
    }
  ++pieces[1][0];
  const Fingerprint other = of(pieces, isa);
  std::swap(pieces[0], pieces[1]);
  CHECK(of(pieces, isa) != other, "two pieces change places");
  for (const int value : {0, 1, 0x80, 0xff}) {  // weights all alike, then all changed alike
    const std::vector<Bytes> all = {Bytes(4096, static_cast<unsigned char>(value))};
    const std::vector<Bytes> changed = {Bytes(4096, static_cast<unsigned char>(~value))};
    CHECK(of(all, isa) != of(changed, isa), "all bits");
  }
  // The whole of a matrix negated, doubled, or moved on by one number.
  test::Random random(3);
  const std::vector<float> numbers = random.vector<float>(10'000);
  const auto bytes_of = [](const std::vector<float>& from) {
    Bytes bytes(from.size() * sizeof(float));
    std::memcpy(bytes.data(), from.data(), bytes.size());
    return std::vector<Bytes>{bytes};
  };
  auto negated = numbers, doubled = numbers, moved = numbers;
  for (float& number : negated) number = -number;
  for (float& number : doubled) number = 2 * number;
  std::rotate(moved.begin(), moved.begin() + 1, moved.end());
  const Fingerprint original = of(bytes_of(numbers), isa);
  for (const auto& change : {negated, doubled, moved}) CHECK(of(bytes_of(change), isa) != original, "a whole matrix");
}

}  // namespace

int main() {
  test_sums();
  test_changes();
  return test::finish("fingerprint");
}
