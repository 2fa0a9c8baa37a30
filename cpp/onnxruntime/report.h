// What became of each recurrent node of a session, for those who ask: lstmfast.onnx.explain.
#pragma once

#include <string>
#include <vector>

namespace lstmfast::onnxruntime {

struct Decision {
  std::string graph;             // the name of the one that has the node
  std::string name, op, output;  // of the node, and of its first output
  std::string reason;            // why it is none for us; empty: it is ours
};

// Reports are kept under a name until somebody takes them.
void open_report(const std::string& name);
void add_to_report(const std::string& name, Decision decision);  // nothing happens where it is not open
std::vector<Decision> close_report(const std::string& name);

}  // namespace lstmfast::onnxruntime
