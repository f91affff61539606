// A node that has no derivative: backward through it raises.
#pragma once

#include <limits>

#include "flashlight/autograd/node.h"

namespace flashlight {

class FL_API ErrorNode : public Node {
 public:
  ErrorNode(std::string name, std::string text)
      : name_(std::move(name)), text_(std::move(text)) {
    set_sequence(std::numeric_limits<uint64_t>::max()); // before all others
  }

  std::string name() const override {
    return name_;
  }
  TensorList apply(TensorList) override {
    fail(text_);
  }

 private:
  std::string name_, text_;
};

// Tensors (or none) of which there is no derivative: backward through them
// raises `text`.
FL_API TensorList
delayed_error(const TensorList& tensors, const std::string& text);

} // namespace flashlight
