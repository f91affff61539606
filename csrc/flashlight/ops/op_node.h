// The backward node of a row with a derivative.
#pragma once

#include "flashlight/autograd/saved_tensor.h"
#include "flashlight/ops/op.h"

namespace flashlight {

// "self.shape" in a row: the formula gets a tensor of self's sizes and dtype
// that holds no value, so the node keeps nothing and minds no writes.
constexpr int kShapeKey = 1 << 21;
constexpr int shape_key(int argument) {
  return kShapeKey | argument;
}
constexpr bool is_shape_key(int key) {
  return key >= 0 && (key & kShapeKey) != 0;
}

// What `self` is now, with its history, under a storage that no write reaches.
Tensor snapshot(const Tensor& self);

class FL_API OpNode : public Node {
 public:
  // Collects edges and saves the arguments that the formulas of the inputs that
  // need a gradient name. In place, args[0] is about to be overwritten: its
  // value is kept under a storage of its own.
  OpNode(const Op& op, const Value* args, bool inplace = false);

  void save_results(const Results& results, bool inplace_view = false);

  // The results have tangents now: so have those that are saved.
  void keep_tangents(const Results& results);

  TensorList apply(TensorList grads) override;
  std::string name() const override;
  void release() override;

  const Op& op() const {
    return op_;
  }
  // What is saved, by name, for grad_fn._saved_*: an undefined Value if absent.
  Value saved(std::string_view name);
  // The saved tensor of that name, or nullptr.
  SavedTensor* saved_tensor(std::string_view name);
  std::vector<std::string> saved_names() const;

 private:
  struct Saved {
    int key; // as in Formula::saved
    bool is_tensor = false;
    SavedTensor tensor;
    std::vector<SavedTensor> list;
    Value value;
  };

  enum class Asked { Forward, Backward };
  bool is_shared(int key) const;
  bool wants(const Formula& formula, Asked asked) const;
  void save(int key, const Value& value, bool is_output, bool inplace_view);
  void save_shape(int key, const Value& value);
  Value unpack(const Saved& saved);
  std::vector<Value> unpack_all();
  std::string key_name(int key) const;
  // Edges of argument i: first and count.
  std::pair<size_t, size_t> edges_of(int i) const;
  TensorList apply_vjp(Value* args);

  const Op& op_;
  std::vector<Saved> saved_;
  std::vector<std::pair<int, size_t>> edge_counts_; // argument, edges
  bool own_name_ = false;                           // of the in-place form
  size_t results_ = 0;
};

} // namespace flashlight
