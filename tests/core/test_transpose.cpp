// Transposition for every edge of its squares and lines, into memory that is otherwise left alone.
#include <string>
#include <vector>

#include "check.h"
#include "core/transpose.h"
#include "random.h"

namespace {

using namespace lstmfast;

template <class T>
void test_all_sizes() {
  test::Random random(1);
  for (Index rows = 0; rows <= 19; ++rows)
    for (Index columns = 0; columns <= 37; ++columns) {
      const Index from_stride = columns + 3, to_stride = rows + 5;
      const std::vector<T> from = random.vector<T>(rows * from_stride + 1);
      std::vector<T> to(static_cast<std::size_t>(columns * to_stride + 1), T(7)), expected = to;
      for (Index r = 0; r < rows; ++r)
        for (Index c = 0; c < columns; ++c)
          expected[static_cast<std::size_t>(c * to_stride + r)] = from[static_cast<std::size_t>(r * from_stride + c)];
      transpose(from.data(), from_stride, to.data(), to_stride, rows, columns);
      CHECK(to == expected, std::to_string(rows) + " x " + std::to_string(columns));
    }
}

}  // namespace

int main() {
  test_all_sizes<float>();
  test_all_sizes<double>();
  return test::finish("transpose");
}
