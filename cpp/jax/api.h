// What we use of XLA's interface for custom calls (its FFI), declared by ourselves: structs by their layout, functions
// by their places in its table.
//
// XLA calls a handler with a frame, which has all that the call is: arguments, results, attributes, and the table of
// functions that the handler may call. Structs say how large they are and later versions append to them, so one build
// serves all versions of jaxlib, and no header of theirs is needed. Names are theirs, without XLA_FFI_ before them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lstmfast::jax {

struct Error;
struct ExecutionContext;
struct InternalApi;

struct Extension {
  std::size_t struct_size;
  int type;
  Extension* next;
};
inline constexpr int kMetadata = 1;  // of an Extension

// Of the interface: the first is not to be got on with where it is another, later numbers of the second append.
struct Version {
  std::size_t struct_size;
  Extension* extensions;
  int major, minor;
};
inline constexpr int kMajor = 0, kFirstMinor = 1, kMinor = 3;  // what this was compared with

// What a handler tells of itself before its first call.
struct Metadata {
  std::size_t struct_size;
  Version version;
  std::uint32_t traits;
};
struct MetadataExtension {
  Extension base;
  Metadata* metadata;
};

enum ErrorCode { kUnknown = 2, kInvalidArgument = 3, kResourceExhausted = 8, kInternal = 13 };

enum DataType : int { kPred = 1, kInt32 = 4, kInt64 = 5, kFloat32 = 11, kFloat64 = 12 };

struct XlaBuffer {
  std::size_t struct_size;
  Extension* extensions;
  int dtype;
  void* data;
  std::int64_t rank;
  const std::int64_t* sizes;
};
inline constexpr int kBuffer = 1;  // the only type of arguments and results

enum AttributeType : int { kArray = 1, kDictionary = 2, kScalar = 3, kString = 4 };
struct Text {
  const char* data;
  std::size_t size;
};
struct Scalar {
  int dtype;
  const void* value;
};
struct Array {
  int dtype;
  std::size_t size;
  const void* data;
};

// Arguments, and results.
struct Buffers {
  std::size_t struct_size;
  Extension* extensions;
  std::int64_t count;
  const int* types;  // each is kBuffer
  void* const* items;
};
struct Attributes {
  std::size_t struct_size;
  Extension* extensions;
  std::int64_t count;
  const int* types;
  const Text* const* names;
  void* const* items;  // each is what its type says
};

// Arguments of its functions.
struct CreateError {
  std::size_t struct_size;
  Extension* extensions;
  const char* message;
  int code;
};
struct DestroyError {
  std::size_t struct_size;
  Extension* extensions;
  Error* error;
};
struct Schedule {
  std::size_t struct_size;
  Extension* extensions;
  ExecutionContext* context;
  void (*task)(void* data);
  void* data;
};
struct NumThreads {
  std::size_t struct_size;
  Extension* extensions;
  ExecutionContext* context;
  std::int64_t* threads;  // where the number is to be written to
};

struct Api {
  std::size_t struct_size;
  Extension* extensions;
  Version version;
  const InternalApi* internal;
  Error* (*create_error)(CreateError*);
  void* get_message;
  void (*destroy_error)(DestroyError*);
  void* register_handler;
  void* get_stream;
  void* register_type;
  void* get_from_context;
  void* set_state;
  void* get_state;
  void* allocate;
  void* free;
  Error* (*schedule)(Schedule*);
  Error* (*num_threads)(NumThreads*);
};

enum Stage : int { kInstantiate = 0, kPrepare = 1, kInitialize = 2, kExecute = 3 };

struct Frame {
  std::size_t struct_size;
  Extension* extensions;
  const Api* api;
  ExecutionContext* context;
  int stage;
  Buffers arguments, results;
  Attributes attributes;
};

}  // namespace lstmfast::jax
