// What we use of ONNX Runtime's C interface, declared by ourselves: its functions by their places in its tables.
//
// A plug-in is handed two tables of functions when it is loaded. Places never change, and later versions append: those
// used here are in every version from 1.24 on, so one build serves all of them, and no header of theirs is needed.
// Names are theirs. Every function that returns a Status returns null for success; others must be released.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lstmfast::onnxruntime {

inline constexpr std::uint32_t kVersion = 24;  // of the interface: 1.24 is the first that has plug-ins with kernels

struct Status;
struct Value;
struct ValueInfo;
struct TypeInfo;
struct TensorInfo;
struct Graph;
struct Node;
struct Attribute;
struct KernelInfo;
struct KernelContext;
struct KernelDef;
struct KernelDefBuilder;
struct KernelRegistry;
struct DataType;
struct SessionOptions;
struct KeyValuePairs;
struct HardwareDevice;
struct EpDevice;
struct GraphSupportInfo;
struct EpFactory;
struct Ep;
struct KernelImpl;

enum ErrorCode { kFail = 1, kInvalidArgument = 2 };
enum ElementType { kUndefined = 0, kFloat = 1, kUint8 = 2, kInt8 = 3, kInt32 = 6, kFloat16 = 10, kDouble = 11 };
enum AttributeType {
  kIntAttribute = 1,
  kFloatAttribute = 3,
  kFloatsAttribute = 4,
  kStringAttribute = 5,
  kStringsAttribute = 6
};

class Table {
 public:
  explicit Table(const void* functions) : functions_(static_cast<void* const*>(functions)) {}

 protected:
  template <class Function>
  Function* at(int place) const {
    return reinterpret_cast<Function*>(functions_[place]);
  }

 private:
  void* const* functions_;
};

// OrtEpApi.
class EpApi : Table {
 public:
  using Table::Table;
  using CreateKernel = Status*(void* state, const KernelInfo* info, KernelImpl** kernel);

  auto CreateEpDevice() const {
    return at<Status*(EpFactory*, const HardwareDevice*, const void* metadata, const void* options, EpDevice**)>(0);
  }
  auto AddSingleNode() const { return at<Status*(GraphSupportInfo*, const Node*)>(3); }
  auto CreateKernelRegistry() const { return at<Status*(KernelRegistry**)>(18); }
  auto ReleaseKernelRegistry() const { return at<void(KernelRegistry*)>(19); }
  auto AddKernel() const { return at<Status*(KernelRegistry*, const KernelDef*, CreateKernel*, void* state)>(20); }
  auto CreateKernelDefBuilder() const { return at<Status*(KernelDefBuilder**)>(21); }
  auto ReleaseKernelDefBuilder() const { return at<void(KernelDefBuilder*)>(22); }
  auto SetOperatorType() const { return at<Status*(KernelDefBuilder*, const char*)>(23); }
  auto SetDomain() const { return at<Status*(KernelDefBuilder*, const char*)>(24); }
  auto SetSinceVersion() const { return at<Status*(KernelDefBuilder*, int first, int last)>(25); }
  auto SetExecutionProvider() const { return at<Status*(KernelDefBuilder*, const char*)>(26); }
  auto AddTypeConstraint() const {
    return at<Status*(KernelDefBuilder*, const char* name, const DataType* const* types, std::size_t count)>(29);
  }
  auto Build() const { return at<Status*(KernelDefBuilder*, KernelDef**)>(32); }
  auto ReleaseKernelDef() const { return at<void(KernelDef*)>(33); }
  auto GetTensorDataType() const { return at<Status*(int element, const DataType**)>(40); }
  auto LookUpKernel() const { return at<Status*(GraphSupportInfo*, const Node*, const KernelDef**)>(41); }
};

// OrtApi.
class Api : Table {
 public:
  using Table::Table;

  auto CreateStatus() const { return at<Status*(int code, const char* text)>(0); }
  auto GetErrorMessage() const { return at<const char*(const Status*)>(2); }
  auto ReleaseStatus() const { return at<void(Status*)>(93); }

  // Of the session.
  auto GetSessionConfigEntry() const {
    return at<Status*(const SessionOptions*, const char* key, char* text, std::size_t* size)>(238);
  }
  auto GetSessionOptionsConfigEntries() const { return at<Status*(const SessionOptions*, KeyValuePairs**)>(379); }
  auto GetKeyValuePairs() const {
    return at<void(const KeyValuePairs*, const char* const** keys, const char* const** values, std::size_t*)>(298);
  }
  auto ReleaseKeyValuePairs() const { return at<void(KeyValuePairs*)>(300); }
  auto HardwareDevice_Type() const { return at<int(const HardwareDevice*)>(307); }
  auto GetEpApi() const { return at<const void*()>(317); }

  // Of graphs.
  auto Graph_GetName() const { return at<Status*(const Graph*, const char**)>(333); }
  auto Graph_GetNumNodes() const { return at<Status*(const Graph*, std::size_t*)>(344); }
  auto Graph_GetNodes() const { return at<Status*(const Graph*, const Node**, std::size_t)>(345); }
  auto Graph_GetParentNode() const { return at<Status*(const Graph*, const Node**)>(346); }
  auto Node_GetName() const { return at<Status*(const Node*, const char**)>(349); }
  auto Node_GetOperatorType() const { return at<Status*(const Node*, const char**)>(350); }
  auto Node_GetDomain() const { return at<Status*(const Node*, const char**)>(351); }
  auto Node_GetNumInputs() const { return at<Status*(const Node*, std::size_t*)>(353); }
  auto Node_GetInputs() const { return at<Status*(const Node*, const ValueInfo**, std::size_t)>(354); }
  auto Node_GetNumOutputs() const { return at<Status*(const Node*, std::size_t*)>(355); }
  auto Node_GetOutputs() const { return at<Status*(const Node*, const ValueInfo**, std::size_t)>(356); }
  auto Node_GetAttributeByName() const { return at<Status*(const Node*, const char*, const Attribute**)>(361); }
  auto OpAttr_GetType() const { return at<Status*(const Attribute*, int*)>(363); }
  auto ReadOpAttr() const {
    return at<Status*(const Attribute*, int type, void* to, std::size_t bytes, std::size_t* needed)>(272);
  }
  auto GetValueInfoName() const { return at<Status*(const ValueInfo*, const char**)>(289); }
  auto GetValueInfoTypeInfo() const { return at<Status*(const ValueInfo*, const TypeInfo**)>(290); }
  auto CastTypeInfoToTensorInfo() const { return at<Status*(const TypeInfo*, const TensorInfo**)>(55); }
  auto GetTensorElementType() const { return at<Status*(const TensorInfo*, int*)>(60); }
  auto ValueInfo_GetInitializerValue() const { return at<Status*(const ValueInfo*, const Value**)>(326); }
  auto ValueInfo_IsConstantInitializer() const { return at<Status*(const ValueInfo*, bool*)>(331); }

  // Of kernels.
  auto KernelInfo_GetOutputName() const {
    return at<Status*(const KernelInfo*, std::size_t, char*, std::size_t*)>(233);
  }
  auto KernelInfo_GetOutputCount() const { return at<Status*(const KernelInfo*, std::size_t*)>(231); }
  auto KernelInfo_GetNodeName() const { return at<Status*(const KernelInfo*, char*, std::size_t*)>(244); }
  auto KernelInfoGetConstantInput_tensor() const {
    return at<Status*(const KernelInfo*, std::size_t index, int* constant, const Value**)>(249);
  }
  auto KernelContext_GetInput() const { return at<Status*(const KernelContext*, std::size_t, const Value**)>(90); }
  auto KernelContext_GetOutput() const {
    return at<Status*(KernelContext*, std::size_t, const std::int64_t* sizes, std::size_t rank, Value**)>(91);
  }
  auto KernelContext_ParallelFor() const {
    return at<Status*(const KernelContext*, void (*)(void*, std::size_t), std::size_t total, std::size_t parts, void*)>(
        274);
  }

  // Of tensors.
  auto GetTensorMutableData() const { return at<Status*(Value*, void**)>(51); }
  auto GetTensorData() const { return at<Status*(const Value*, const void**)>(378); }
  auto GetTensorElementTypeAndShapeDataReference() const {
    return at<Status*(const Value*, int* type, const std::int64_t** sizes, std::size_t* rank)>(414);
  }
};

// OrtApiBase.
struct ApiBase {
  const void* (*GetApi)(std::uint32_t version);  // an OrtApi, null and a line on stderr where it is older than that
  const char* (*GetVersionString)();
};

// What a plug-in implements: structs of functions that begin with the version of the interface they are written for.
// Members that later versions append are null in `later`.

struct EpFactory {
  std::uint32_t version = kVersion;
  const char* (*GetName)(const EpFactory*) = nullptr;
  const char* (*GetVendor)(const EpFactory*) = nullptr;
  Status* (*GetSupportedDevices)(EpFactory*, const HardwareDevice* const* devices, std::size_t count, EpDevice** found,
                                 std::size_t room, std::size_t* found_count) = nullptr;
  Status* (*CreateEp)(EpFactory*, const HardwareDevice* const* devices, const void* const* metadata, std::size_t count,
                      const SessionOptions*, const void* logger, Ep**) = nullptr;
  void (*ReleaseEp)(EpFactory*, Ep*) = nullptr;
  std::uint32_t (*GetVendorId)(const EpFactory*) = nullptr;
  const char* (*GetVersion)(const EpFactory*) = nullptr;  // a semantic version, or the registration fails
  void* ValidateCompiledModelCompatibilityInfo = nullptr;
  void* CreateAllocator = nullptr;
  void* ReleaseAllocator = nullptr;
  Status* (*CreateDataTransfer)(EpFactory*, void** transfer) = nullptr;  // called unasked
  bool (*IsStreamAware)(const EpFactory*) = nullptr;
  void* later[24] = {};
};

struct Ep {
  std::uint32_t version = kVersion;
  const char* (*GetName)(const Ep*) = nullptr;
  Status* (*GetCapability)(Ep*, const Graph*, GraphSupportInfo*) = nullptr;
  void* Compile = nullptr;
  void* ReleaseNodeComputeInfos = nullptr;
  void* GetPreferredDataLayout = nullptr;
  void* ShouldConvertDataLayoutForOp = nullptr;
  void* SetDynamicOptions = nullptr;
  void* OnRunStart = nullptr;
  void* OnRunEnd = nullptr;
  void* CreateAllocator = nullptr;
  void* CreateSyncStreamForDevice = nullptr;
  void* GetCompiledModelCompatibilityInfo = nullptr;
  Status* (*GetKernelRegistry)(Ep*, const KernelRegistry**) = nullptr;
  Status* (*IsConcurrentRunSupported)(Ep*, bool*) = nullptr;
  void* later[24] = {};
};

struct KernelImpl {
  std::uint32_t version = kVersion;
  std::uint32_t flags = 0;
  Status* (*Compute)(KernelImpl*, KernelContext*) = nullptr;
  void (*Release)(KernelImpl*) = nullptr;
  // packed: whether ONNX Runtime may free its copy of this constant input.
  Status* (*PrePackWeight)(KernelImpl*, const Value*, int input, void* allocator, void* shared, bool* packed) = nullptr;
  void* SetSharedPrePackedWeight = nullptr;
  void* later[24] = {};
};

}  // namespace lstmfast::onnxruntime
