#include "flashlight/autograd/forward_mode.h"
#include <algorithm>

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op_node.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/tangents.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

namespace {

std::vector<Tensor> tensors_of(const Results& results) {
  std::vector<Tensor> out;
  for (const Value& r : results) {
    for_tensors(r, [&](const Tensor& t) { out.push_back(t); });
  }
  return out;
}

std::vector<Edge> edges_of(const TensorList& tensors) {
  std::vector<Edge> out;
  for (const Tensor& t : tensors) {
    out.push_back(gradient_edge(t));
  }
  return out;
}

// At the top level: a tensor that stands for `t` and has no history yet.
Tensor variable_at(const LevelHandle& level, const Tensor& t) {
  Tensor out = wrap_at(level, t);
  set_requires_grad(out, true);
  return out;
}

// Zeros like what `t` stands for.
Tensor zeros_below(const LevelHandle& level, const Tensor& t) {
  BelowLevel below(*level);
  return zeros_like(t->wrapped->inner);
}

TensorList
gradients(const TensorList& of, TensorList along, const TensorList& to) {
  BackwardOptions options;
  options.keep_graph = true;
  options.create_graph = true; // also of the levels below
  options.accumulate = false;
  return run_backward(edges_of(of), std::move(along), options, edges_of(to));
}

// J t for each of `outputs`; see Note [Tangents].
TensorList along_tangents(
    const LevelHandle& level,
    const TensorList& outputs,
    const TensorList& inputs,
    const TensorList& tangents) {
  TensorList seeds;
  for (const Tensor& y : outputs) {
    seeds.push_back(variable_at(level, zeros_below(level, y)));
  }
  TensorList found = gradients(outputs, seeds, inputs);
  TensorList linear, along;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].defined() && requires_grad(found[i])) {
      linear.push_back(found[i]);
      along.push_back(wrap_at(level, tangents[i]));
    }
  }
  TensorList out(outputs.size());
  if (!linear.empty()) {
    out = gradients(linear, std::move(along), seeds);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    // A gradient that does not depend on its seed is zero.
    if (out[i].defined()) {
      out[i] = out[i]->wrapped->inner;
    } else {
      // Of the levels of the tangents, so that one may be written into it.
      BelowLevel below(*level);
      out[i] = new_zeros(tangents[0], outputs[i].sizes(), outputs[i].dtype());
    }
  }
  return out;
}

} // namespace

namespace {

// Would each view of the one be one of the other? As PyTorch, of strides where
// they matter, of the storage's size and of bits; of strides alone inside vmap.
bool lies_as(const Tensor& like, const Tensor& t) {
  if (like->wrapped || t->wrapped) {
    return like.strides() == t.strides();
  }
  auto length = [](const Tensor& x) {
    return x->storage->nbytes() / itemsize(x.dtype());
  };
  bool same =
      like->conj == t->conj && like->neg == t->neg && length(like) == length(t);
  if (!same || like.numel() == 0) {
    return same;
  }
  same = like.storage_offset() == t.storage_offset();
  for (size_t d = 0; d < like.sizes().size(); ++d) {
    same =
        same && (like.strides()[d] == t.strides()[d] || like.sizes()[d] == 1);
  }
  return same;
}

} // namespace

Tensor laid_out_as(const Tensor& like, const Tensor& tangent) {
  if (lies_as(like, tangent)) {
    return tangent;
  }
  if (like->wrapped || tangent->wrapped) {
    Tensor out = new_empty_strided(tangent, like.sizes(), like.strides());
    return copy_(out, tangent, false);
  }
  int64_t length = like->storage->nbytes() / itemsize(like.dtype());
  Tensor flat = new_zeros(tangent, {length}, tangent.dtype());
  Tensor out = flat.alias(like.geometry(), tangent.dtype());
  out->conj = like->conj;
  out->neg = like->neg;
  return copy_(out, tangent, false);
}

namespace {

// A tangent that may be written to in place: it is nobody else's.
Tensor of_its_own(const Tensor& t, const TensorList& others) {
  bool shared = std::any_of(others.begin(), others.end(), [&](const Tensor& o) {
    return o->storage.get() == t->storage.get();
  });
  return shared || has_internal_overlap(t.geometry()) ? clone(t) : t;
}

Results call_view_dual(const Op& op, Value* args) {
  Results results, tangents;
  {
    HideTangents hidden;
    results = call(op, args);
    if (op.derivative == Derivative::NotDifferentiable) {
      return results;
    }
    std::vector<Value> of_tangent = arguments(op, args);
    of_tangent[0] = tangent(*args[0].tensor());
    tangents = call(op, of_tangent.data());
  }
  std::vector<Tensor> to = tensors_of(results), from = tensors_of(tangents);
  for (size_t i = 0; i < to.size(); ++i) {
    set_tangent(to[i], from[i]);
  }
  return results;
}

} // namespace

bool any_tangent(const Op& op, const Value* args) {
  bool any = false;
  for (int i : op.differentiable) {
    for_tensors(args[i], [&](const Tensor& t) { any = any || has_tangent(t); });
  }
  return any;
}

namespace {

// Gives the results their tangents.
void set_tangents(
    const TensorList& results,
    const TensorList& tangents,
    const TensorList& others) {
  for (size_t i = 0; i < tangents.size(); ++i) {
    Tensor t = of_its_own(tangents[i], others);
    bool any = has_internal_overlap(results[i].geometry());
    set_tangent(results[i], any ? t : laid_out_as(results[i], t));
  }
}

// ... which those that the node has saved have, too.
void keep_tangents(const TensorList& of, const Results& results) {
  if (of.empty()) {
    return;
  }
  if (auto node = std::dynamic_pointer_cast<OpNode>(grad_fn(of.front()))) {
    node->keep_tangents(results);
  }
}

// See Note [Stated tangents].
Results call_stated_dual(const Op& op, const TangentRule& rule, Value* args) {
  TensorList along;
  std::vector<Value> of_tangents = arguments(op, args);
  for (const std::string& input : rule.inputs) {
    auto i = static_cast<size_t>(op.schema.index_of(input));
    const Tensor& t = *args[i].tensor();
    along.push_back(has_tangent(t) ? tangent(t) : zeros_like(t));
    of_tangents[i] = along.back();
  }
  HideTangents hidden;
  Results results = call(op, args);
  TensorList tangents = rule.fn ? rule.fn(along, args, results)
                                : tensors_of(call(op, of_tangents.data()));
  TensorList to = tensors_of(results);
  to.resize(tangents.size());
  set_tangents(to, tangents, along);
  keep_tangents(to, results);
  return results;
}

} // namespace

Results call_dual(const Op& op, Value* args) {
  if (op.view) {
    return call_view_dual(op, args);
  }
  if (const TangentRule* rule = tangent_rule(op)) {
    return call_stated_dual(op, *rule, args);
  }
  Results results;
  TensorList differentiable, tangents, along;
  std::vector<const TensorImpl*> duals;
  for (int i : op.differentiable) {
    for_tensors(args[i], [&](const Tensor& t) {
      if (has_tangent(t)) { // at this level: not at the one entered below
        duals.push_back(t.get());
        along.push_back(tangent(t));
      }
    });
  }
  HideTangents hidden;
  {
    EnterLevel entered(LevelKind::Autograd);
    const LevelHandle& level = entered.level();
    std::vector<Value> inner = arguments(op, args);
    TensorList inputs;
    for (int i : op.differentiable) {
      Value& v = inner[static_cast<size_t>(i)];
      v = mapped_tensors(v, [&](const Tensor& t) {
        size_t next = inputs.size();
        if (next == duals.size() || duals[next] != t.get()) {
          return t;
        }
        inputs.push_back(variable_at(level, t));
        return inputs.back();
      });
    }
    Results at_level = call(op, inner.data());
    TensorList outputs;
    TensorList all = tensors_of(at_level);
    // An empty one among others may be no result, unless the inputs are empty.
    bool any_empty =
        all.size() == 1 ||
        std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) {
          return t.numel() == 0;
        });
    for (const Tensor& t : all) {
      if (requires_grad(t) &&
          (t.numel() != 0 || any_empty)) { // an empty one may be no result
        outputs.push_back(t);
        differentiable.push_back(t->wrapped->inner);
      }
    }
    if (!outputs.empty()) {
      tangents = along_tangents(level, outputs, inputs, along);
    }
    for (Value& r : at_level) {
      results.push_back(
          mapped_tensors(r, [](const Tensor& t) { return t->wrapped->inner; }));
    }
  }
  set_tangents(differentiable, tangents, along);
  keep_tangents(differentiable, results);
  return results;
}

void write_tangent(const Tensor& tensor, const Tensor& along) {
  if (!has_tangent(tensor)) {
    if (!along.defined()) {
      return;
    }
    Tensor base = base_of(tensor);
    if (!base.defined() || autograd_meta(tensor)->without_tangent) {
      set_tangent(tensor, along);
      return;
    }
    if (!has_tangent(base)) {
      // Laid out as the base, so that a view of one is a view of the other.
      Geometry g = base.geometry();
      g.offset = 0;
      Tensor flat = new_zeros(along, {storage_extent(g)}, base.dtype());
      set_tangent(base, as_strided(flat, g.sizes, g.strides, g.offset));
    }
  }
  Tensor to = tangent(tensor);
  if (along.defined()) {
    copy_(to, along, false);
  } else {
    zero_(to);
  }
}

Tensor call_inplace_dual(const Op& op, Value* args) {
  Tensor self = *args[0].tensor();
  // The write changes self and its tangent, which nodes may have saved.
  std::vector<Value> before = arguments(op, args);
  Tensor was = snapshot(self);
  if (has_tangent(self)) {
    HideTangents hidden;
    set_tangent(was, clone(tangent(self)));
  }
  before[0] = was;
  Results results = call(op, before.data());
  const Tensor& result = results[0].as<Tensor>();
  Tensor along = has_tangent(result) ? tangent(result) : Tensor();
  HideTangents hidden;
  copy_(self, result, false);
  write_tangent(self, along);
  return self;
}

} // namespace flashlight
