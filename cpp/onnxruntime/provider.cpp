// The execution provider: what ONNX Runtime finds in this library when it is registered, and asks it for a session.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "onnxruntime/api.h"
#include "onnxruntime/errors.h"
#include "onnxruntime/kernel.h"
#include "onnxruntime/node.h"
#include "onnxruntime/options.h"
#include "onnxruntime/report.h"

namespace lstmfast::onnxruntime {
namespace {

// A node that is ours, until its kernel is made.
struct Taken {
  NodeSpec spec;
  bool constant;
};

bool is_recurrent(const std::string& domain, const std::string& op) {
  if (domain == "com.microsoft") return op == "DynamicQuantizeLSTM";
  return (domain.empty() || domain == "ai.onnx") && (op == "LSTM" || op == "GRU" || op == "RNN");
}

class Provider : public Ep {
 public:
  Provider(const Api& api, const SessionOptions* session)
      : api_(api), ep_api_(api.GetEpApi()()), options_(read_options(api, session)) {
    GetName = [](const Ep*) { return kProvider; };
    GetCapability = [](Ep* self, const Graph* graph, GraphSupportInfo* info) {
      Provider& own = *static_cast<Provider*>(self);
      return reporting(own.api_, [&] { own.take_nodes(graph, info); });
    };
    GetKernelRegistry = [](Ep* self, const KernelRegistry** registry) {
      Provider& own = *static_cast<Provider*>(self);
      return reporting(own.api_, [&] { *registry = own.registry(); });
    };
    IsConcurrentRunSupported = [](Ep*, bool* supported) -> Status* {
      *supported = true;
      return nullptr;
    };
  }
  ~Provider() {
    if (registry_) ep_api_.ReleaseKernelRegistry()(registry_);
  }

 private:
  void take_nodes(const Graph* graph, GraphSupportInfo* info) {
    const char* graph_name = "";
    check(api_.Graph_GetName()(graph, &graph_name));
    std::size_t count = 0;
    check(api_.Graph_GetNumNodes()(graph, &count));
    std::vector<const Node*> nodes(count);
    check(api_.Graph_GetNodes()(graph, nodes.data(), count));
    for (const Node* const node : nodes) {
      const char *name = "", *op = "", *domain = "";
      check(api_.Node_GetOperatorType()(node, &op));
      check(api_.Node_GetDomain()(node, &domain));
      if (!is_recurrent(domain, op)) continue;
      check(api_.Node_GetName()(node, &name));
      const std::vector<std::string> outputs = outputs_of(api_, node);
      std::string reason;
      try {
        take(node, info, node_key(name, outputs));
      } catch (const Unfit& unfit) {
        reason = unfit.what();
      }
      if (!options_.report.empty()) {
        const auto there =
            std::find_if(outputs.begin(), outputs.end(), [](const std::string& o) { return !o.empty(); });
        add_to_report(options_.report, {graph_name, name, op, there == outputs.end() ? "" : *there, reason, pass_});
      }
    }
    // The graph around all others comes last, and all come again where ONNX Runtime has changed some of them.
    const Node* parent = nullptr;
    check(api_.Graph_GetParentNode()(graph, &parent));
    if (!parent) ++pass_;
  }

  // Throws Unfit.
  void take(const Node* node, GraphSupportInfo* info, const std::string& key) {
    Taken taken = {read_node(api_, node), true};
    WeightTensors weights;
    const std::vector<const ValueInfo*> inputs = inputs_of(api_, node);
    for (const int input : taken.spec.weights()) {
      const auto place = static_cast<std::size_t>(input);
      if (!inputs[place]) throw Unfit("an input with weights or their scales is missing");
      bool constant = false;
      const Value* value = nullptr;
      check(api_.ValueInfo_IsConstantInitializer()(inputs[place], &constant));
      check(api_.ValueInfo_GetInitializerValue()(inputs[place], &value));
      weights[place] = tensor_of(api_, value);
      if (!constant) require_only_ours(taken.spec, weights[place]);
      taken.constant = taken.constant && constant;
    }
    if (taken.constant) sizes_of(taken.spec, weights);
    const KernelDef* found = nullptr;
    check(ep_api_.LookUpKernel()(info, node, &found));
    if (!found) throw Unfit("no kernel for its operator set, or for the types of its inputs");
    // By its names alone its kernel is told from others: in branches of an If two nodes may have the same.
    const auto known = taken_.find(key);
    if (known != taken_.end() &&
        !(known->second.spec.all() == taken.spec.all() && known->second.constant == taken.constant))
      throw Unfit("another node that computes something else has the same name and outputs");
    check(ep_api_.AddSingleNode()(info, node));
    taken_[key] = taken;
  }

  // Weights that are no constants are looked through at every call, which takes as long as a step: only for what ONNX
  // Runtime cannot do.
  static void require_only_ours(const NodeSpec& spec, const Tensor& given) {
    if (!spec.quantized && (spec.element == kDouble || spec.batchwise)) return;
    throw Unfit(given.there() ? "its weights are inputs of the model as well, so that each call may bring others;"
                                " without those inputs it would be taken"
                              : "its weights are not constant: the model computes them");
  }

  Taken taken_as(const KernelInfo* info) const {
    const auto text = [&](auto&& read) {
      std::size_t size = 0;
      succeeded(api_, read(nullptr, &size));
      std::vector<char> bytes(std::max<std::size_t>(size, 1));
      check(read(bytes.data(), &size));
      return std::string(bytes.begin(), std::find(bytes.begin(), bytes.end(), '\0'));
    };
    const std::string name =
        text([&](char* to, std::size_t* size) { return api_.KernelInfo_GetNodeName()(info, to, size); });
    std::size_t count = 0;
    check(api_.KernelInfo_GetOutputCount()(info, &count));
    std::vector<std::string> outputs;
    for (std::size_t k = 0; k < count; ++k)
      outputs.push_back(
          text([&](char* to, std::size_t* size) { return api_.KernelInfo_GetOutputName()(info, k, to, size); }));
    const auto found = taken_.find(node_key(name.c_str(), outputs));
    if (found == taken_.end()) throw std::runtime_error("lstmfast: node '" + name + "' was not taken by its names");
    return found->second;
  }

  static Status* create_kernel(void* provider, const KernelInfo* info, KernelImpl** kernel) {
    Provider& own = *static_cast<Provider*>(provider);
    return reporting(own.api_, [&] {
      const Taken taken = own.taken_as(info);
      *kernel = make_kernel(own.api_, taken.spec, own.options_, taken.constant, info);
    });
  }

  const KernelRegistry* registry() {
    if (registry_) return registry_;
    check(ep_api_.CreateKernelRegistry()(&registry_));
    // From 7 on, when sequences and states became what they are; the last has no end yet.
    constexpr int versions[][2] = {{7, 13}, {14, 21}, {22, 1000}};
    for (const char* op : {"LSTM", "GRU", "RNN"})
      for (const auto& [first, last] : versions)
        add_kernel(op, "", first, last, {{"T", {kFloat16, kFloat, kDouble}}, {"T1", {kInt32}}});
    add_kernel("DynamicQuantizeLSTM", "com.microsoft", 1, 1, {{"T", {kFloat}}, {"T1", {kInt32}}, {"T2", {kInt8}}});
    return registry_;
  }

  using Constraints = std::vector<std::pair<const char*, std::vector<int>>>;
  void add_kernel(const char* op, const char* domain, int first, int last, const Constraints& constraints) {
    KernelDefBuilder* builder = nullptr;
    check(ep_api_.CreateKernelDefBuilder()(&builder));
    const std::unique_ptr<KernelDefBuilder, void (*)(KernelDefBuilder*)> owner(builder,
                                                                               ep_api_.ReleaseKernelDefBuilder());
    check(ep_api_.SetOperatorType()(builder, op));
    check(ep_api_.SetDomain()(builder, domain));
    check(ep_api_.SetSinceVersion()(builder, first, last));
    check(ep_api_.SetExecutionProvider()(builder, kProvider));
    for (const auto& [name, elements] : constraints) {
      std::vector<const DataType*> types(elements.size());
      for (std::size_t k = 0; k < elements.size(); ++k) check(ep_api_.GetTensorDataType()(elements[k], &types[k]));
      check(ep_api_.AddTypeConstraint()(builder, name, types.data(), types.size()));
    }
    KernelDef* def = nullptr;
    check(ep_api_.Build()(builder, &def));
    const std::unique_ptr<KernelDef, void (*)(KernelDef*)> def_owner(def, ep_api_.ReleaseKernelDef());
    check(ep_api_.AddKernel()(registry_, def, create_kernel, this));
  }

  const Api& api_;
  const EpApi ep_api_;
  const Options options_;
  KernelRegistry* registry_ = nullptr;
  std::map<std::string, Taken> taken_;
  int pass_ = 0;
};

class Factory : public EpFactory {
 public:
  explicit Factory(const void* table) : api_(table), ep_api_(api_.GetEpApi()()) {
    GetName = [](const EpFactory*) { return kProvider; };
    GetVendor = [](const EpFactory*) { return "lstmfast"; };
    GetVersion = [](const EpFactory*) { return LSTMFAST_VERSION; };
    GetSupportedDevices = [](EpFactory* self, const HardwareDevice* const* devices, std::size_t count, EpDevice** found,
                             std::size_t room, std::size_t* found_count) {
      Factory& own = *static_cast<Factory*>(self);
      return reporting(own.api_, [&] { *found_count = own.find_cpu(devices, count, found, room); });
    };
    CreateEp = [](EpFactory* self, const HardwareDevice* const*, const void* const*, std::size_t,
                  const SessionOptions* session, const void*, Ep** ep) {
      Factory& own = *static_cast<Factory*>(self);
      return reporting(own.api_, [&] { *ep = new Provider(own.api_, session); });
    };
    ReleaseEp = [](EpFactory*, Ep* ep) { delete static_cast<Provider*>(ep); };
    CreateDataTransfer = [](EpFactory*, void** transfer) -> Status* {
      *transfer = nullptr;
      return nullptr;
    };
  }

 private:
  std::size_t find_cpu(const HardwareDevice* const* devices, std::size_t count, EpDevice** found, std::size_t room) {
    constexpr int cpu = 0;
    for (std::size_t k = 0; k < count && room > 0; ++k) {
      if (api_.HardwareDevice_Type()(devices[k]) != cpu) continue;
      check(ep_api_.CreateEpDevice()(this, devices[k], nullptr, nullptr, found));
      return 1;
    }
    return 0;
  }

  const Api api_;
  const EpApi ep_api_;
};

}  // namespace
}  // namespace lstmfast::onnxruntime

#if defined(_WIN32)
#define LSTMFAST_EXPORT __declspec(dllexport)
#else
#define LSTMFAST_EXPORT [[gnu::visibility("default")]]
#endif

// Kept for the process: sessions may live until its end, and another registration finds the same.
extern "C" LSTMFAST_EXPORT lstmfast::onnxruntime::Status* CreateEpFactories(
    const char*, const lstmfast::onnxruntime::ApiBase* base, const void*, lstmfast::onnxruntime::EpFactory** factories,
    std::size_t room, std::size_t* count) {
  using namespace lstmfast::onnxruntime;
  const void* const table = base->GetApi(kVersion);
  if (!table)
    return reporting(Api(base->GetApi(1)), [&] {
      throw std::runtime_error(std::string("lstmfast needs onnxruntime 1.24 or newer, this is ") +
                               base->GetVersionString());
    });
  return reporting(Api(table), [&] {
    static Factory* const factory = new Factory(table);
    if (room < 1) throw std::invalid_argument("lstmfast: expected room for a factory");
    factories[0] = factory;
    *count = 1;
  });
}

extern "C" LSTMFAST_EXPORT lstmfast::onnxruntime::Status* ReleaseEpFactory(lstmfast::onnxruntime::EpFactory*) {
  return nullptr;
}
