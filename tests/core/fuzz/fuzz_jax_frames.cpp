// Frames as XLA hands them to our handlers, but with sizes, types and attributes of any kind: results within their
// arrays, or an error in words. Pointers are those of memory as large as a frame says, as XLA's are.
#include <map>

#include "given_frame.h"
#include "lstmfast/jax.h"

namespace {

using namespace fuzz;

// Draws a call of a shape, with something in it that is not of that shape, or nothing.
class Drawn {
 public:
  explicit Drawn(Bytes& bytes) : bytes_(bytes) {
    static const char* const cells[] = {"lstm", "rnn_tanh", "rnn_relu", "gru", "lstm_norm", "lstm_variant", "x"};
    cell_ = cells[bytes.from(0, bytes.from(0, 7) ? 5 : 6)];
    const auto of = [&](std::int64_t first, std::int64_t last) { return size_or_any(bytes.from(first, last)); };
    I_ = of(1, 4), H_ = of(1, 5), L_ = of(1, 2), D_ = bytes.from(1, 2), P_ = bytes.from(0, 7) ? 0 : of(1, 2);
    T_ = of(0, 4), B_ = of(0, 3);
    bias_ = bytes.flag(), batch_first_ = bytes.flag(), recompute_ = bytes.flag();
    memory_ = cell_ == "lstm" || cell_ == "lstm_norm" || cell_ == "lstm_variant";
    samples_ = bytes.from(0, 5) ? -1 : static_cast<std::int64_t>(bytes.from(0, 3));
    dtype_ = bytes.flag() ? kFloat32 : kFloat64;
    gates_ = memory_ ? 4 : cell_ == "gru" ? 3 : 1;
    for (const char* const name : {"h0", "c0", "lengths", "reset", "dropped", "dy", "dh_n", "dc_n", "dc"})
      if (bytes.from(0, 2) == 0) given_ += " " + std::string(name);
  }

  bool ok() const { return ok_; }

  void attributes(Given& to) {
    const auto integer = [&](const char* name, std::int64_t value) {
      const Index kind = bytes_.from(0, 63);
      if (kind == 63) return;                       // none
      if (kind == 62) return to.number(name, 1.0);  // of another type
      if (kind == 61) return to.text(name, "1");
      to.integer(name, kind == 60 ? bytes_.integer() : value);
    };
    integer("input_size", I_), integer("hidden_size", H_), integer("num_layers", L_), integer("proj_size", P_);
    integer("bidirectional", D_ == 2), integer("bias", bias_), integer("reverse", bytes_.from(0, 7) == 7);
    integer("batch_first", batch_first_), integer("recompute", recompute_);
    to.integer("samples", samples_);  // ours alone; as many calls as it says take as long
    const bool variant = cell_ == "lstm_variant" || bytes_.from(0, 31) == 31;
    integer("variant", variant);
    if (variant) {
      for (const char* const name : {"f", "g", "h"}) {
        to.text(name, bytes_.from(0, 7) ? "Sigmoid" : bytes_.text(5));
        to.number(std::string(name) + "_alpha", 0.5), to.number(std::string(name) + "_beta", 0.5);
      }
      to.number("clip", bytes_.from(0, 3) ? 1.0 : bytes_.bits<double>());
      integer("peephole", 0);
    }
    to.text("cell", cell_), to.text("given", given_), to.number("dropout_scale", 1.25);
    wanted_ = bytes_.one_of<const char*>({"", "x state", "x", "state", "c"});
    to.text("wanted", wanted_);
    for (Index left = weights_count(); left > 0; --left) gradients_ += bytes_.from(0, 3) ? '1' : '0';
    to.text("gradients", bytes_.from(0, 31) == 31 ? bytes_.text(9) : gradients_);
  }

  void arguments(Given& to, bool back) {
    sequence(to, false, "x", I_);
    if (back) {
      sequence(to, false, "", D_ * S());
      tape(to, false);
    } else {
      state(to, false, "h0", S()), state(to, false, "c0", H_);
    }
    if (gives("lengths")) array(to, false, bytes_.flag() ? kInt32 : kInt64, {B_});
    if (gives("reset")) array(to, false, kPred, {T_, B_});
    if (gives("dropped")) array(to, false, kPred, {L_ - 1, T_, B_, D_ * S()});
    weights(to, false);
    if (!back) return;
    sequence(to, false, "dy", D_ * S());
    state(to, false, "dh_n", S()), state(to, false, "dc_n", H_);
    sequence(to, false, "dc", D_ * H_);
  }

  void results(Given& to, bool back, bool training) {
    if (!back) {
      sequence(to, true, "", D_ * S());
      array(to, true, dtype_, {L_ * D_, B_, S()});
      if (memory_) array(to, true, dtype_, {L_ * D_, B_, H_});
      if (wanted_ == "c") sequence(to, true, "", D_ * H_);
      if (training) tape(to, true);
      return;
    }
    if (wanted_.find('x') != std::string::npos) sequence(to, true, "", I_);
    if (wanted_.find("state") != std::string::npos) {
      array(to, true, dtype_, {L_ * D_, B_, S()});
      if (memory_) array(to, true, dtype_, {L_ * D_, B_, H_});
    }
    weights(to, true);
  }

 private:
  std::int64_t S() const { return P_ ? P_ : H_; }
  bool gives(const std::string& name) const { return (given_ + " ").find(" " + name + " ") != std::string::npos; }
  // What is multiplied here must not overflow; attributes and single sizes may be any number.
  std::int64_t size_or_any(std::int64_t size) { return bytes_.from(0, 63) == 63 ? bytes_.integer() % (1 << 20) : size; }
  Index weights_count() const {
    if (L_ < 1 || L_ > 4) return 0;
    return L_ * D_ * (2 + (bias_ ? 2 : 0) + (P_ ? 1 : 0) + (cell_ == "lstm_norm" ? 4 : 0));
  }

  void array(Given& to, bool result, int dtype, std::vector<std::int64_t> sizes) {
    const Index kind = bytes_.from(0, 63);
    if (kind == 63) return;  // not there
    if (kind == 62 && !sizes.empty())
      sizes[static_cast<std::size_t>(bytes_.from(0, static_cast<Index>(sizes.size()) - 1))] = bytes_.integer();
    if (kind == 61) sizes.pop_back();
    if (kind == 60) dtype = bytes_.one_of<int>({kPred, kInt32, kInt64, kFloat32, kFloat64});
    if (samples_ >= 0 && bytes_.flag()) sizes.insert(sizes.begin(), samples_);
    ok_ &= to.array(result, dtype, sizes, bytes_);
  }
  void sequence(Given& to, bool result, const std::string& name, std::int64_t width) {
    if (!name.empty() && name != "x" && !gives(name)) return;
    if (batch_first_) return array(to, result, dtype_, {B_, T_, width});
    array(to, result, dtype_, {T_, B_, width});
  }
  void state(Given& to, bool result, const std::string& name, std::int64_t width) {
    if (gives(name)) array(to, result, dtype_, {L_ * D_, B_, width});
  }
  void weights(Given& to, bool result) {
    std::size_t next = 0;
    const auto one = [&](std::vector<std::int64_t> sizes) {
      const bool wanted = !result || (next < gradients_.size() && gradients_[next] == '1');
      ++next;
      if (wanted) array(to, result, dtype_, std::move(sizes));
    };
    if (weights_count() == 0) return;
    for (std::int64_t layer = 0; layer < L_; ++layer)
      for (std::int64_t direction = 0; direction < D_; ++direction) {
        const std::int64_t rows = gates_ * H_;
        one({rows, layer ? D_ * S() : I_}), one({rows, S()});
        if (bias_) one({rows}), one({rows});
        if (P_) one({P_, H_});
        if (cell_ == "lstm_norm") one({rows}), one({rows}), one({H_}), one({H_});
      }
  }
  // As long as the core says, where the shape is one that it takes.
  void tape(Given& to, bool result) {
    std::int64_t numbers = 0;
    if (I_ > 0 && I_ < 99 && H_ > 0 && H_ < 99 && L_ > 0 && L_ < 9 && T_ >= 0 && T_ < 99 && B_ >= 0 && B_ < 99 &&
        P_ >= 0 && P_ < H_) {
      static const std::map<std::string, Cell> cells = {
          {"lstm", Cell::lstm}, {"rnn_tanh", Cell::rnn_tanh},   {"rnn_relu", Cell::rnn_relu},
          {"gru", Cell::gru},   {"lstm_norm", Cell::lstm_norm}, {"lstm_variant", Cell::lstm_variant}};
      const auto at = cells.find(cell_);
      NetworkShape shape = {at == cells.end() ? Cell::lstm : at->second, I_, H_, L_, D_, bias_, P_};
      const bool any = true;
      if (dtype_ == kFloat32) {
        TrainingOptions<float> options;
        options.recompute = recompute_, options.masks = gives("dropped") ? &any : nullptr;
        numbers = tape_numbers<float>(shape, T_ * B_, B_, options);
      } else {
        TrainingOptions<double> options;
        options.recompute = recompute_, options.masks = gives("dropped") ? &any : nullptr;
        numbers = tape_numbers<double>(shape, T_ * B_, B_, options);
      }
    }
    array(to, result, dtype_, {numbers});
  }

  Bytes& bytes_;
  std::string cell_, given_, wanted_, gradients_;
  std::int64_t I_, H_, L_, D_, P_, T_, B_, samples_, gates_;
  bool bias_, batch_first_, recompute_, memory_, ok_ = true;
  int dtype_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const Index which = bytes.from(0, 2);
  Drawn drawn(bytes);
  Given given;
  drawn.attributes(given);
  drawn.arguments(given, which == 2);
  drawn.results(given, which == 2, which == 1);
  if (!drawn.ok()) return 0;  // XLA would have no memory for such arrays
  Frame frame = given.frame();
  errors = 0;
  Error* const error = which == 0 ? infer(&frame) : which == 1 ? forward(&frame) : backward(&frame);
  EXPECT((error != nullptr) == (errors == 1) && errors <= 1, "one error for one call");
  return 0;
}
