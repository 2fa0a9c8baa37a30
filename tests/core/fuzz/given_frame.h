// A frame as XLA makes one, from whatever a target says is in it. Pointers are those of memory as large as the frame
// says.
#pragma once

#include <deque>

#include "bytes.h"
#include "jax/handler.h"
#include "random.h"
#include "target.h"

namespace fuzz {

using namespace lstmfast;
using namespace lstmfast::jax;

inline int errors = 0;

inline const Api& api() {
  static const Api made = [] {
    Api all = {};
    all.create_error = [](CreateError* asked) {
      EXPECT(asked->message && asked->message[0], "an error without words");
      ++errors;
      return reinterpret_cast<Error*>(&errors);
    };
    all.destroy_error = [](DestroyError*) {};
    all.num_threads = [](NumThreads* asked) -> Error* {
      *asked->threads = 0;
      return nullptr;
    };
    return all;
  }();
  return made;
}

// A frame, and all that it points to.
class Given {
 public:
  void integer(const std::string& name, std::int64_t value) {
    numbers_.push_back(value);
    add(name, kScalar, Scalar{kInt64, &numbers_.back()});
  }
  void number(const std::string& name, double value) {
    reals_.push_back(value);
    add(name, kScalar, Scalar{kFloat64, &reals_.back()});
  }
  void text(const std::string& name, const std::string& value) {
    strings_.push_back(value);
    texts_.push_back({strings_.back().data(), strings_.back().size()});
    name_of(name, kString, &texts_.back());
  }

  // Memory is there for as many as the sizes say; more than kMost are none that a test can have.
  static constexpr std::int64_t kMost = 1 << 16;
  bool array(bool result, int dtype, const std::vector<std::int64_t>& sizes, Bytes& bytes) {
    std::int64_t count = 1;
    for (const std::int64_t each : sizes)
      if (each < 0 || each > kMost || (count *= each) > kMost) return false;
    const std::size_t width = dtype == kPred ? 1 : dtype == kInt32 || dtype == kFloat32 ? 4 : 8;
    memory_.emplace_back(static_cast<std::size_t>(count) * width + 1);
    std::vector<char>& room = memory_.back();
    room.pop_back();  // data() is never null, as it is not with XLA
    fill(room, dtype, bytes.byte());
    sizes_.push_back(sizes);
    buffers_.push_back({sizeof(XlaBuffer), nullptr, dtype, room.data(), static_cast<std::int64_t>(sizes.size()),
                        sizes_.back().data()});
    (result ? results_ : arguments_).push_back(&buffers_.back());
    return true;
  }

  Frame frame() {
    Frame made = {};
    made.struct_size = sizeof made, made.api = &api(), made.stage = kExecute;
    types_.assign(std::max(arguments_.size(), results_.size()) + 1, kBuffer);
    made.arguments = {0, nullptr, static_cast<std::int64_t>(arguments_.size()), types_.data(), arguments_.data()};
    made.results = {0, nullptr, static_cast<std::int64_t>(results_.size()), types_.data(), results_.data()};
    made.attributes = {
        0, nullptr, static_cast<std::int64_t>(names_.size()), kinds_.data(), names_.data(), items_.data()};
    return made;
  }

 private:
  static void fill(std::vector<char>& room, int dtype, unsigned seed) {
    test::Random random(seed);
    const auto put = [&](auto like, double scale) {
      for (std::size_t at = 0; at + sizeof like <= room.size(); at += sizeof like) {
        const auto value = static_cast<decltype(like)>(random.next() * scale);
        std::memcpy(room.data() + at, &value, sizeof value);
      }
    };
    if (dtype == kFloat32)
      put(0.0f, 1);
    else if (dtype == kFloat64)
      put(0.0, 1);
    else if (dtype == kInt32)
      put(std::int32_t(0), 5);
    else if (dtype == kInt64)
      put(std::int64_t(0), 5);
    else
      for (char& each : room) each = random.next() > 0;
  }
  void add(const std::string& name, int kind, Scalar scalar) {
    scalars_.push_back(scalar);
    name_of(name, kind, &scalars_.back());
  }
  void name_of(const std::string& name, int kind, void* item) {
    strings_.push_back(name);
    texts_.push_back({strings_.back().data(), strings_.back().size()});
    names_.push_back(&texts_.back()), kinds_.push_back(kind), items_.push_back(item);
  }

  std::deque<std::int64_t> numbers_;
  std::deque<double> reals_;
  std::deque<std::string> strings_;
  std::deque<Text> texts_;
  std::deque<Scalar> scalars_;
  std::deque<std::vector<char>> memory_;
  std::deque<std::vector<std::int64_t>> sizes_;
  std::deque<XlaBuffer> buffers_;
  std::vector<void*> arguments_, results_, items_;
  std::vector<const Text*> names_;
  std::vector<int> types_, kinds_;
};

}  // namespace fuzz
