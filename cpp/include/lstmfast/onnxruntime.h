// The execution provider for ONNX Runtime, for those who share its library: what it is called, and what it can be told
// and asked. ONNX Runtime itself finds it by two exported functions (cpp/onnxruntime/provider.cpp).
#pragma once

#include <string>
#include <vector>

#include "lstmfast/isa.h"

namespace lstmfast::onnxruntime {

inline constexpr const char kProvider[] = "LstmfastExecutionProvider";

// What is used where a session does not name an ISA; by itself the fastest.
void use_isa(const Isa& isa);

// What became of a recurrent node when a session was made.
struct Decision {
  std::string graph;             // the name of the one that has the node
  std::string name, op, output;  // of the node, and of its first output
  std::string reason;            // why it is none for us; empty: it is ours
  int pass;                      // which time its session went through its graphs: it does so again where some change
};

// Sessions with the option "report" add to the report of that name, between these two calls. What counts, and is
// returned, is the last pass.
void open_report(const std::string& name);
std::vector<Decision> close_report(const std::string& name);

}  // namespace lstmfast::onnxruntime
