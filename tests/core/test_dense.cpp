// A dense layer's products: the chains that dense.h says, to the bit, on every ISA and with any number of threads.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "check.h"
#include "lstmfast/dense.h"
#include "lstmfast/isa.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;

template <class T>
using Numbers = std::vector<T>;

template <class T>
Numbers<T> zeros(Index count) {
  return Numbers<T>(static_cast<std::size_t>(count));
}

// One after the other, as a reader of dense.h would write it.
template <class T>
struct PlainLoop {
  Numbers<T> z, dx, dweight, dbias;

  PlainLoop(const DenseShape& shape, const T* x, const T* weight, const T* bias, const T* dz) {
    const Index N = shape.rows, I = shape.in_features, K = shape.out_features;
    for (Index n = 0; n < N; ++n)
      for (Index k = 0; k < K; ++k) {
        T sum = 0;
        for (Index i = 0; i < I; ++i) sum = std::fma(x[n * I + i], weight[k * I + i], sum);
        z.push_back(bias ? sum + bias[k] : sum);
      }
    for (Index n = 0; n < N; ++n)
      for (Index i = 0; i < I; ++i) {
        T sum = 0;
        for (Index k = 0; k < K; ++k) sum = std::fma(dz[n * K + k], weight[k * I + i], sum);
        dx.push_back(sum);
      }
    for (Index k = 0; k < K; ++k) {
      for (Index i = 0; i < I; ++i)
        dweight.push_back(in_groups(N, [&](Index n, T sum) { return std::fma(dz[n * K + k], x[n * I + i], sum); }));
      dbias.push_back(in_groups(N, [&](Index n, T sum) { return sum + dz[n * K + k]; }));
    }
  }

  template <class Add>
  static T in_groups(Index terms, const Add& add) {
    T total = 0;
    for (Index first = 0; first < terms; first += kGradientTerms) {
      T sum = 0;
      for (Index n = first; n < std::min(first + kGradientTerms, terms); ++n) sum = add(n, sum);
      total += sum;
    }
    return total;
  }
};

template <class T>
bool same(const Numbers<T>& a, const Numbers<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), test::same_bits<T>);
}

template <class T>
void test_products(const DenseShape& shape, bool has_bias) {
  const Index N = shape.rows, I = shape.in_features, K = shape.out_features;
  test::Random random(static_cast<std::uint64_t>(N + 100 * I + 10'000 * K));
  const Numbers<T> x = random.vector<T>(N * I), weight = random.vector<T>(K * I), dz = random.vector<T>(N * K);
  const Numbers<T> bias = random.vector<T>(has_bias ? K : 0);
  const T* const given_bias = has_bias ? bias.data() : nullptr;
  const PlainLoop<T> plain(shape, x.data(), weight.data(), given_bias, dz.data());
  for (const Isa& isa : available_isas())
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      const KernelTable<T>& table = kernels<T>(isa);
      for (int call = 0; call < (threads > 1 ? 3 : 1); ++call) {  // threads take part once they are awake
        const std::string what = isa.name + ": " + std::to_string(N) + " rows, " + std::to_string(I) + " to " +
                                 std::to_string(K) + ", " + std::to_string(threads) + " threads";
        Numbers<T> z = zeros<T>(N * K), dx = zeros<T>(N * I), dweight = zeros<T>(K * I), dbias = zeros<T>(K);
        dense_forward<T>(table, {shape, x.data(), weight.data(), given_bias, z.data()});
        CHECK(same(z, plain.z), what + ", z");
        dense_backward<T>(table, {shape, x.data(), weight.data(), dz.data(), dx.data(), dweight.data(),
                                  has_bias ? dbias.data() : nullptr});
        CHECK(same(dx, plain.dx), what + ", dx");
        CHECK(same(dweight, plain.dweight), what + ", dW");
        CHECK(same(dbias, has_bias ? plain.dbias : zeros<T>(K)), what + ", db");
      }
    }
  set_num_threads(1);
}

}  // namespace

int main() {
  const DenseShape shapes[] = {{0, 3, 2},    {1, 1, 1},    {5, 7, 3},    {2, 130, 1},    {127, 24, 24},
                               {129, 1, 70}, {600, 33, 5}, {13, 65, 97}, {1300, 24, 24}, {520, 70, 40}};
  for (const DenseShape& shape : shapes)
    for (const bool has_bias : {true, false}) {
      test_products<float>(shape, has_bias);
      test_products<double>(shape, has_bias);
    }
  return test::finish("dense");
}
