// A tensor that a node keeps for its backward.
#pragma once

#include "flashlight/autograd/autograd_meta.h"

namespace flashlight {

// pack / unpack hooks of torch.autograd.graph.saved_tensors_hooks.
class FL_API SavedTensorHook {
 public:
  virtual ~SavedTensorHook() = default;
  // Called once, when the tensor is saved.
  virtual void pack(const Tensor& tensor) = 0;
  virtual Tensor unpack() = 0;
};

// Makes the hook in force on this thread; nullptr if there is none. Raises if
// saving is disabled there.
FL_API std::function<std::unique_ptr<SavedTensorHook>()>&
saved_tensor_hook_factory();

// An output of the node itself is kept without its history, which would be a
// cycle: the node gives it back at unpack.
class FL_API SavedTensor {
 public:
  SavedTensor() = default;
  SavedTensor(const Tensor& tensor, bool is_output, bool inplace_view = false);

  // Raises if the tensor was changed in place meanwhile, or was released.
  // `owner`: the node that holds this.
  Tensor unpack(const std::shared_ptr<Node>& owner) const;
  void release();
  bool defined() const {
    return was_defined_;
  }
  void register_hook(std::unique_ptr<SavedTensorHook> hook);
  // An output's, known only after it was saved.
  void keep_tangent(std::shared_ptr<TangentSlot> tangent) {
    tangent_ = std::move(tangent);
  }
  // What is held, for the garbage collector.
  const Tensor& data() const {
    return data_;
  }

 private:
  Tensor data_;
  std::shared_ptr<Node> grad_fn_;
  std::weak_ptr<Node> weak_grad_fn_;
  std::weak_ptr<Node> accumulator_;
  std::shared_ptr<SavedTensorHook> hook_;
  std::shared_ptr<TangentSlot> tangent_;
  uint32_t version_ = 0;
  uint32_t output_nr_ = 0;
  bool was_defined_ = false;
  bool released_ = false;
  bool original_ = false;
  bool is_output_ = false;
  bool is_leaf_ = false;
  bool inplace_view_ = false;
  bool requires_grad_ = false;
};

} // namespace flashlight
