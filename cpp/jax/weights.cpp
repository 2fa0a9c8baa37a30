#include "jax/weights.h"

#include <algorithm>
#include <atomic>
#include <list>
#include <mutex>

#include "lstmfast/jax.h"

namespace lstmfast::jax {
namespace {

// A model of some dozen layers, in training or not, or one very large.
constexpr Index kMostNetworks = 64;
constexpr Index kMostBytes = Index(256) << 20;

struct Entry {
  NetworkShape shape;
  const void* table;  // of kernels, and so of a T
  Fingerprint fingerprint;
  std::shared_ptr<const void> kept;
  Index bytes;
  bool trained;
};

// Never destroyed: XLA's threads may outlive statics.
struct Table {
  std::mutex mutex;
  std::list<Entry> entries;  // what was used last comes first
  Index bytes = 0;

  std::list<Entry>::iterator find(const NetworkShape& shape, const void* kernels, const Fingerprint& fingerprint) {
    return std::find_if(entries.begin(), entries.end(), [&](const Entry& each) {
      return each.fingerprint == fingerprint && each.table == kernels && each.shape == shape;
    });
  }

  // Moves what is too much to `gone`, to be freed without the lock.
  void make_room(const Entry& entry, std::list<Entry>& gone) {
    const auto drop = [&](std::list<Entry>::iterator each) {
      bytes -= each->bytes;
      gone.splice(gone.end(), entries, each);
    };
    // The one that was used longest ago.
    for (auto each = entries.end(); each != entries.begin();) {
      --each;
      if (!each->trained || each->table != entry.table || !(each->shape == entry.shape)) continue;
      drop(each);
      break;
    }
    while (!entries.empty() &&
           (static_cast<Index>(entries.size()) >= kMostNetworks || bytes + entry.bytes > kMostBytes))
      drop(std::prev(entries.end()));
  }
};
Table& table() {
  static Table* const all = new Table;
  return *all;
}

std::atomic<const Isa*> used_isa{nullptr};

const Isa& isa() {
  const Isa* const used = used_isa.load(std::memory_order_relaxed);
  return used ? *used : available_isas().front();
}

}  // namespace

void use_isa(const Isa& used) { used_isa.store(&find_isa(used.name), std::memory_order_relaxed); }

template <class T>
Fingerprint fingerprint_of(const Weights<T>& weights) {
  return lstmfast::fingerprint_of(weights.pieces.data(), static_cast<Index>(weights.pieces.size()),
                                  kernels<T>(isa()).fingerprint);
}

template <class T>
std::shared_ptr<const Kept<T>> network_of(const NetworkShape& shape, const Weights<T>& weights,
                                          const Fingerprint& fingerprint) {
  const KernelTable<T>& kernel_table = kernels<T>(isa());
  Table& all = table();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.find(shape, &kernel_table, fingerprint);
    if (found != all.entries.end()) {
      all.entries.splice(all.entries.begin(), all.entries, found);
      return std::static_pointer_cast<const Kept<T>>(found->kept);
    }
  }
  const auto made = std::make_shared<const Kept<T>>(shape, weights.passes.data(), kernel_table);
  Index bytes = 0;
  for (const Piece& piece : weights.pieces) bytes += 2 * piece.bytes;  // for both passes
  std::list<Entry> entry, gone;
  entry.push_back({shape, &kernel_table, fingerprint, made, bytes, false});
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.find(shape, &kernel_table, fingerprint);
  if (found != all.entries.end()) return std::static_pointer_cast<const Kept<T>>(found->kept);  // another was quicker
  all.make_room(entry.front(), gone);
  all.bytes += bytes;
  all.entries.splice(all.entries.begin(), entry);
  return made;
}

void has_been_trained(const void* kept) {
  Table& all = table();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (Entry& each : all.entries)
    if (each.kept.get() == kept) each.trained = true;
}

KeptNetworks kept_networks() {
  Table& all = table();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return {static_cast<Index>(all.entries.size()), all.bytes};
}

void drop_networks() {
  Table& all = table();
  std::list<Entry> gone;
  // In a child after fork the lock may be somebody's who is not there.
  const std::unique_lock<std::mutex> lock(all.mutex, std::try_to_lock);
  if (!lock.owns_lock()) return;
  gone.splice(gone.end(), all.entries);
  all.bytes = 0;
}

template Fingerprint fingerprint_of(const Weights<float>&);
template Fingerprint fingerprint_of(const Weights<double>&);
template std::shared_ptr<const Kept<float>> network_of(const NetworkShape&, const Weights<float>&, const Fingerprint&);
template std::shared_ptr<const Kept<double>> network_of(const NetworkShape&, const Weights<double>&,
                                                        const Fingerprint&);

}  // namespace lstmfast::jax
