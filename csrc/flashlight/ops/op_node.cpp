#include "flashlight/ops/op_node.h"
#include "flashlight/autograd/engine.h"

#include <algorithm>

#include "flashlight/core/dispatching.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

namespace {

// Sizes, strides, dtype and device of a tensor; reading it is an error.
Tensor shape_of(const Tensor& t) {
  if (!t.defined()) {
    return {};
  }
  auto nothing = [](Device device) {
    mx::array none(std::initializer_list<float>{}, mx::float32);
    return make_ref<Storage>(none, Layout{IntList{0}, IntList{1}}, device);
  };
  static const Ref<Storage> on_cpu = nothing(Device{});
  auto impl = make_ref<TensorImpl>();
  impl->storage = t.device() == Device{} ? on_cpu : nothing(t.device());
  impl->geometry = t.geometry();
  impl->dtype = t.dtype();
  impl->version = make_ref<VersionCounter>();
  return Tensor(std::move(impl));
}

} // namespace

namespace {

Tensor copied_by_op(const Tensor& self) {
  NoGrad guard;
  return clone(self, {});
}

} // namespace

Tensor snapshot(const Tensor& self) {
  Tensor out = self->wrapped ? copied_below(self)
               : is_dispatching(self)
                   ? copied_by_op(self)
                   : copied(self, dense_like(self.geometry()));
  if (auto node = grad_fn(self)) {
    AutogradMeta& meta = ensure_autograd_meta(out);
    meta.grad_fn = std::move(node);
    meta.output_nr = autograd_meta(self)->output_nr;
  }
  return out;
}

OpNode::OpNode(const Op& op, const Value* args, bool inplace)
    : op_(op), own_name_(inplace && (op.view || op.inplace_node)) {
  for (int i : op.differentiable) {
    const Value& v = args[i];
    size_t n = 1;
    if (const auto* list = v.get_if<TensorList>()) {
      n = list->size();
      for (const Tensor& t : *list) {
        add_edge(t.defined() ? gradient_edge(t) : Edge{});
      }
    } else {
      const Tensor* t = v.tensor();
      add_edge(t ? gradient_edge(*t) : Edge{});
    }
    edge_counts_.emplace_back(i, n);
  }
  update_topological();
  auto keep = [&](int key) {
    if (key < 0 || key == Formula::kNeeds) {
      return;
    }
    if (is_shape_key(key)) {
      save_shape(key, args[key & ~kShapeKey]);
      return;
    }
    const Value& v = args[key];
    if (inplace && key == 0) {
      save(key, snapshot(*v.tensor()), false, false);
    } else {
      save(key, v, false, false);
    }
  };
  if (op.derivative == Derivative::Vjp) {
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
      keep(static_cast<int>(i));
    }
    return;
  }
  for (const Formula& f : op.formulas) {
    bool wanted = wants(f, Asked::Forward);
    for (int key : f.saved) {
      if (f.fn && (wanted || is_shared(key))) {
        keep(key);
      }
    }
  }
}

// As PyTorch, which saves what several formulas take whatever is wanted, and
// results.
bool OpNode::is_shared(int key) const {
  if (key < 0) {
    return true;
  }
  const auto& formulas = op_.formulas;
  return std::count_if(formulas.begin(), formulas.end(), [&](const Formula& f) {
           const auto& saved = f.saved;
           return std::find(saved.begin(), saved.end(), key) != saved.end();
         }) > 1;
}

std::pair<size_t, size_t> OpNode::edges_of(int i) const {
  size_t first = 0;
  for (auto [arg, n] : edge_counts_) {
    if (arg == i) {
      return {first, n};
    }
    first += n;
  }
  return {0, 0};
}

bool OpNode::wants(const Formula& formula, Asked asked) const {
  // As PyTorch, which asks only where there is a choice, of one input.
  if (asked == Asked::Forward &&
      (op_.differentiable.size() == 1 || formula.inputs.size() > 1)) {
    return true;
  }
  for (int i : formula.inputs) {
    auto [first, n] = edges_of(i);
    for (size_t k = first; k < first + n; ++k) {
      if (asked == Asked::Forward ? has_edge(k) : should_compute(k)) {
        return true;
      }
    }
  }
  return false;
}

void OpNode::save(int key, const Value& v, bool is_output, bool inplace_view) {
  for (const Saved& s : saved_) {
    if (s.key == key) {
      return;
    }
  }
  Saved s;
  s.key = key;
  if (const Tensor* t = v.tensor()) {
    s.is_tensor = true;
    s.tensor = SavedTensor(*t, is_output, inplace_view);
  } else if (const auto* list = v.get_if<TensorList>()) {
    for (const Tensor& t : *list) {
      s.list.emplace_back(t, is_output, inplace_view);
    }
    s.value = TensorList();
  } else {
    s.value = v;
  }
  saved_.push_back(std::move(s));
}

void OpNode::save_results(const Results& results, bool inplace_view) {
  results_ = results.size();
  if (op_.derivative == Derivative::Vjp) {
    return;
  }
  for (const Formula& f : op_.formulas) {
    for (int key : f.saved) {
      if (f.fn && key < 0) {
        save(key, results[static_cast<size_t>(~key)], true, inplace_view);
      }
    }
  }
}

void OpNode::keep_tangents(const Results& results) {
  for (Saved& s : saved_) {
    if (s.key < 0 && s.is_tensor) {
      const Tensor* t = results[static_cast<size_t>(~s.key)].tensor();
      if (const AutogradMeta* meta = t ? autograd_meta(*t) : nullptr) {
        s.tensor.keep_tangent(meta->tangent);
      }
    }
  }
}

void OpNode::save_shape(int key, const Value& v) {
  for (const Saved& s : saved_) {
    if (s.key == key) {
      return;
    }
  }
  Saved s;
  s.key = key;
  if (const auto* list = v.get_if<TensorList>()) {
    TensorList shapes;
    for (const Tensor& t : *list) {
      shapes.push_back(shape_of(t));
    }
    s.value = Value(std::move(shapes));
  } else if (const Tensor* t = v.tensor()) {
    s.value = Value(shape_of(*t));
  }
  saved_.push_back(std::move(s));
}

// As PyTorch, which looks at all that is saved whatever comes in: what was
// written to since, or is freed, raises. Arguments by name, then results.
std::vector<Value> OpNode::unpack_all() {
  auto before = [&](size_t i, size_t j) {
    int a = saved_[i].key, b = saved_[j].key;
    if (a < 0 || b < 0) {
      return a >= 0 || (b < 0 && a > b);
    }
    const auto& args = op_.schema.args;
    return args[static_cast<size_t>(a & ~kShapeKey)].name <
           args[static_cast<size_t>(b & ~kShapeKey)].name;
  };
  mx::SmallVector<size_t, 4> order;
  for (size_t i = 0; i < saved_.size(); ++i) {
    order.push_back(i);
  }
  std::sort(order.begin(), order.end(), before);
  std::vector<Value> values(saved_.size());
  for (size_t i : order) {
    values[i] = unpack(saved_[i]);
  }
  return values;
}

Value OpNode::unpack(const Saved& s) {
  if (is_shape_key(s.key)) {
    return s.value;
  }
  if (s.is_tensor) {
    return s.tensor.unpack(shared_from_this());
  }
  if (s.value.is<TensorList>()) {
    TensorList list;
    for (const SavedTensor& t : s.list) {
      list.push_back(t.unpack(shared_from_this()));
    }
    return list;
  }
  return s.value;
}

TensorList OpNode::apply(TensorList grads) {
  TensorList out(next_edges().size());
  std::vector<Value> unpacked = unpack_all();
  if (std::none_of(grads.begin(), grads.end(), [](const Tensor& g) {
        return g.defined();
      })) {
    return out;
  }
  auto saved = [&](int key) {
    for (size_t i = 0; i < saved_.size(); ++i) {
      if (saved_[i].key == key) {
        return unpacked[i];
      }
    }
    return Value();
  };
  if (op_.derivative == Derivative::Vjp) {
    std::vector<Value> args;
    for (size_t i = 0; i < op_.schema.args.size(); ++i) {
      args.push_back(saved(static_cast<int>(i)));
    }
    args.emplace_back(std::move(grads));
    return apply_vjp(args.data());
  }
  for (const Formula& f : op_.formulas) {
    if (!wants(f, Asked::Backward)) {
      continue;
    }
    if (!f.fn) { // zero everywhere, but there
      for (int i : f.inputs) {
        auto [first, n] = edges_of(i);
        for (size_t e = first; e < first + n; ++e) {
          const Edge& edge = next_edges()[e];
          if (should_compute(e)) {
            const InputMetadata& to = edge.node->inputs()[edge.input];
            // The result's sizes are self's where it can be written to it; the
            // engine sees whether they still are.
            bool as_result = i == 0 && op_.inplace;
            const IntList& sizes =
                as_result && grads[0].defined() ? grads[0].sizes() : to.sizes;
            out[e] = autograd_ops().zeros(sizes, to.dtype, to.device);
          }
        }
      }
      continue;
    }
    std::vector<Value> values;
    values.reserve(f.saved.size());
    for (int key : f.saved) {
      if (key == Formula::kNeeds) {
        BoolList needs;
        for (int i : f.inputs) {
          auto [first, n] = edges_of(i);
          for (size_t k = first; k < first + n; ++k) {
            needs.push_back(should_compute(k));
          }
        }
        values.emplace_back(std::move(needs));
        continue;
      }
      values.push_back(saved(key));
    }
    TensorList results = derived(f, grads, std::move(values));
    size_t k = 0;
    for (int i : f.inputs) {
      auto [first, n] = edges_of(i);
      for (size_t e = first; e < first + n; ++e, ++k) {
        if (k < results.size() && should_compute(e)) {
          out[e] = std::move(results[k]);
        }
      }
    }
  }
  return out;
}

TensorList OpNode::apply_vjp(Value* args) {
  Results results = call(op_.vjp_op(), args);
  TensorList out = std::move(results[0].as<TensorList>());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!should_compute(i)) {
      out[i] = Tensor();
    }
  }
  return out;
}

void OpNode::release() {
  for (Saved& s : saved_) {
    if (s.is_tensor) {
      s.tensor.release();
    }
    for (SavedTensor& t : s.list) {
      t.release();
    }
  }
}

// The in-place form of a view, or of fill, has a node of its own:
// TransposeBackward1 beside TransposeBackward0. They are numbered after all
// overloads.
std::string OpNode::name() const {
  if (!own_name_) {
    return op_.node_name;
  }
  int overloads = 0;
  for (const Op* other : all_ops()) {
    overloads += other->inplace && other->schema.name == op_.schema.name;
  }
  std::string name = op_.node_name;
  name.back() = static_cast<char>(name.back() + overloads);
  return name;
}

std::string OpNode::key_name(int key) const {
  if (is_shape_key(key)) {
    return op_.schema.args[static_cast<size_t>(key & ~kShapeKey)].name +
           "_sym_sizes";
  }
  if (key >= 0) {
    return op_.schema.args[static_cast<size_t>(key)].name;
  }
  const Return& r = op_.schema.returns[static_cast<size_t>(~key)];
  if (!r.name.empty()) {
    return r.name;
  }
  return op_.schema.returns.size() == 1 ? "result"
                                        : "result" + std::to_string(~key);
}

SavedTensor* OpNode::saved_tensor(std::string_view name) {
  for (Saved& s : saved_) {
    if (s.is_tensor && key_name(s.key) == name) {
      return &s.tensor;
    }
  }
  return nullptr;
}

Value OpNode::saved(std::string_view name) {
  for (const Saved& s : saved_) {
    if (key_name(s.key) == name) {
      return unpack(s);
    }
  }
  return {};
}

std::vector<std::string> OpNode::saved_names() const {
  std::vector<std::string> names;
  auto add = [&](int key) {
    std::string name = key_name(key);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(std::move(name));
    }
  };
  for (const Saved& s : saved_) {
    add(s.key);
  }
  // What other gradients would need is there too, as None.
  for (const Formula& f : op_.formulas) {
    for (int key : f.saved) {
      if (key != Formula::kNeeds) {
        add(key);
      }
    }
  }
  return names;
}

} // namespace flashlight
