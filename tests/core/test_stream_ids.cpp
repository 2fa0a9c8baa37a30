// The ids of a pool against a plain list: what is open, what was, and what no call may name.
#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "check.h"
#include "lstmfast/stream_ids.h"
#include "random.h"

namespace {

using namespace lstmfast;
using Standing = StreamIds::Standing;
using Ids = std::vector<Index>;

std::size_t size(Index count) { return static_cast<std::size_t>(count); }

// A StreamIds beside all that it has given, and what of it is open.
class Pair {
 public:
  explicit Pair(Index count) : ids_(std::make_unique<StreamIds>(count)), count_(count) {}

  void open() {
    const Index id = ids_->open();
    if (static_cast<Index>(open_.size()) == count_) {
      CHECK(id == -1, "all are open");
      return;
    }
    CHECK(id >= 0 && id <= StreamIds::kMostId && StreamIds::slot_of(id) < count_, "an id of a slot that there is");
    CHECK(given_.insert(id).second, "no id is given twice");
    for (const Index other : open_) CHECK(StreamIds::slot_of(other) != StreamIds::slot_of(id), "a slot of its own");
    open_.push_back(id);
  }

  void close() {
    if (open_.empty()) return;
    const std::size_t k = size(below(static_cast<Index>(open_.size())));
    ids_->close(StreamIds::slot_of(open_[k]));
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(k));
  }

  void grow() {
    count_ += below(4);
    ids_->grow(count_);
  }

  // What a pickle does.
  void restore() {
    auto again = std::make_unique<StreamIds>(count_);
    for (Index k = below(count_ + 1); k > 0; --k) again->open();  // whatever it was before
    again->restore(ids_->table());
    CHECK(std::equal(again->table(), again->table() + count_, ids_->table()), "the table again");
    ids_ = std::move(again);
  }

  void check() {
    CHECK(ids_->count() == count_ && ids_->open_count() == static_cast<Index>(open_.size()), "counts");
    Ids listed(open_.size(), -7), in_order = open_;
    std::sort(in_order.begin(), in_order.end(),
              [](Index a, Index b) { return StreamIds::slot_of(a) < StreamIds::slot_of(b); });
    ids_->list(listed.data());
    CHECK(listed == in_order, "the list, in the order of slots");
    const std::set<Index> open(open_.begin(), open_.end());
    for (const Index id : given_) {
      CHECK(ids_->standing(id) == (open.count(id) ? Standing::open : Standing::closed), "what was given");
      const Index next = id + StreamIds::kMostSlots;
      if (!given_.count(next)) CHECK(ids_->standing(next) == Standing::unknown, "what will be given");
    }
    for (const Index id : strangers()) CHECK(ids_->standing(id) == Standing::unknown, "what is no id");
    for (Index slot = 0; slot < count_; ++slot) {
      const Index entry = ids_->table()[slot];
      CHECK(StreamIds::slot_of(entry < 0 ? -1 - entry : entry) == slot, "a table of slots");
      CHECK(entry < 0 ? !given_.count(-1 - entry) : open.count(entry) == 1, "a table of open ids, and next ones");
    }
    check_slots();
  }

 private:
  Ids strangers() const {
    using Limits = std::numeric_limits<Index>;
    return {-1, Limits::min(), Limits::max(), count_, StreamIds::kMostSlots - 1, -StreamIds::kMostSlots};
  }

  void check_slots() {
    Ids some = open_;
    for (std::size_t k = 1; k < some.size(); ++k) std::swap(some[k], some[size(below(static_cast<Index>(k) + 1))]);
    if (!some.empty()) some.resize(some.size() - size(below(2)));
    const auto n = static_cast<Index>(some.size());
    const auto is_found = [&] {
      Index at = -1;
      const Index* const slots = ids_->slots_of(some.data(), n, at);
      return slots && std::equal(some.begin(), some.end(), slots,
                                 [](Index id, Index slot) { return StreamIds::slot_of(id) == slot; });
    };
    CHECK(is_found(), "slots of ids");
    Ids wrong = strangers();
    for (const Index id : given_)
      if (ids_->standing(id) != Standing::open) wrong.push_back(id);
    wrong.insert(wrong.end(), some.begin(), some.end());  // there twice
    for (const Index id : wrong) {
      Ids with = some;
      const Index place = below(n + 1);
      with.insert(with.begin() + place, id);
      const auto first = std::find(with.begin(), with.end(), id);
      const bool twice = std::count(with.begin(), with.end(), id) == 2;
      const Index expected = twice ? std::find(first + 1, with.end(), id) - with.begin() : place;
      Index at = -1;
      CHECK(!ids_->slots_of(with.data(), n + 1, at) && at == expected, "which one is wrong");
    }
    CHECK(is_found(), "slots of ids after a mistake");
    // Far more than there is room for.
    if (some.empty()) return;
    Ids many;
    for (Index k = 0; k < 5 * count_; ++k) many.push_back(some[size(k % n)]);
    Index at = -1;
    CHECK(!ids_->slots_of(many.data(), 5 * count_, at) && at == n, "each is there five times");
  }

  Index below(Index count) { return static_cast<Index>((random_.next() + 1) / 2 * static_cast<double>(count)); }

  test::Random random_{2};
  std::unique_ptr<StreamIds> ids_;
  Index count_;
  Ids open_;
  std::set<Index> given_;
};

// In all orders: opened and closed at every turn, now and then a pool that is larger or made again.
void test_any_order() {
  test::Random random(1);
  for (const Index count : {1, 2, 7}) {
    Pair pair(count);
    pair.check();
    for (int turn = 0; turn < 300; ++turn) {
      // Rather more is opened than closed, then the other way round.
      const bool opens = random.next() < (turn / 20 % 2 ? 0.4 : -0.4);
      if (opens)
        pair.open();
      else
        pair.close();
      if (turn % 37 == 36) pair.grow();
      if (turn % 23 == 22) pair.restore();
      if (turn % 5 == 0) pair.check();
    }
  }
}

// A slot that is used again and again, to the end of what an id may be.
void test_many_uses() {
  StreamIds ids(2);
  const Index last = StreamIds::kMostId - StreamIds::kMostSlots, table[] = {-1 - last, 1};
  ids.restore(table);
  CHECK(ids.standing(1) == Standing::open && ids.standing(last) == Standing::unknown, "as restored");
  CHECK(ids.standing(last - StreamIds::kMostSlots) == Standing::closed && ids.standing(0) == Standing::closed,
        "all before are closed");
  CHECK(ids.open() == last && ids.open() == -1, "the next one");
  ids.close(0);
  CHECK(ids.standing(last) == Standing::closed && ids.open() == StreamIds::kMostId, "and the one after");
}

// Memory that no stream has needed yet is not touched: slots come into use one after the other.
void test_a_large_pool() {
  const Index count = StreamIds::kMostSlots / 64;
  StreamIds ids(count);
  Index slot = 0;
  for (; slot < 1000; ++slot) CHECK(StreamIds::slot_of(ids.open()) == slot, "the first that was not used yet");
  ids.grow(count + 1000);
  for (; slot < ids.count(); ++slot) CHECK(StreamIds::slot_of(ids.open()) == slot, "old slots, then new ones");
}

}  // namespace

int main() {
  test_any_order();
  test_many_uses();
  test_a_large_pool();
  return test::finish("stream_ids");
}
