#include <algorithm>

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/forward_mode.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/view_autograd.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/autocast.h"
#include "flashlight/ops/call_parts.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/dispatch_mode.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op_node.h"
#include "flashlight/ops/profiled.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

std::atomic<OpObserver> op_observer{nullptr};

namespace {

// The kinds of operands in promotion: tensors with dimensions, tensors without,
// numbers. A lower kind decides only if its category is higher.
struct Operands {
  std::optional<Dtype> dims, zero_dims, numbers;

  static void add(std::optional<Dtype>& to, Dtype d) {
    to = to ? promote_types(*to, d) : d;
  }
  void add(const Tensor& t) {
    if (t->wrapped_number) {
      Dtype d = t.dtype();
      if (is_complex(d)) {
        d = default_complex_dtype();
      } else if (is_floating(d)) {
        d = default_dtype();
      }
      add(numbers, d);
    } else {
      add(t.dim() == 0 ? zero_dims : dims, t.dtype());
    }
  }
  static int category(Dtype d) {
    return is_complex(d) ? 3 : is_floating(d) ? 2 : d == Dtype::Bool ? 0 : 1;
  }
  static std::optional<Dtype> merge(
      std::optional<Dtype> high,
      std::optional<Dtype> low) {
    if (!high || !low) {
      return high ? high : low;
    }
    if (category(*low) > category(*high)) {
      // A complex number over float16 makes the complex of that width.
      if (is_complex(*low) && is_floating(*high)) {
        return to_complex(*high);
      }
      return *high == Dtype::Bool ? promote_types(*high, *low) : low;
    }
    return high;
  }
  Dtype result() const {
    auto all = merge(merge(dims, zero_dims), numbers);
    return all.value_or(default_dtype());
  }
};

bool is_copy(const Op& op) {
  return op.schema.name == "clone" || op.schema.name == "_to_copy";
}

CreationMeta creation_meta(const Op& op, bool recorded) {
  if (autograd_state().inference_mode) {
    return CreationMeta::InferenceMode;
  }
  if (!recorded && !recording()) {
    return CreationMeta::NoGradMode;
  }
  return op.multi_output_view ? CreationMeta::MultiOutputNode
                              : CreationMeta::Default;
}

// Keeps how `view` (the result `nth` of the op) is made of its base, if it
// shows it in another way than a geometry can say, or what it is a view of
// does; or if views are to be played again in any case.
void keep_replay(
    const Op& op,
    const Value* args,
    const Tensor& view,
    size_t nth) {
  const Tensor& self = *args[0].tensor();
  const AutogradMeta* parent = autograd_meta(self);
  bool of_view = parent && parent->is_view;
  bool other = view.is_complex() != self.is_complex() ||
               view->conj != self->conj || view->neg != self->neg ||
               autograd_state().view_replay;
  if (!other && !(of_view && parent->replay)) {
    return;
  }
  auto before = of_view ? parent->replay : nullptr;
  if (of_view && !before) {
    before = [g = self.geometry()](const Tensor& base) {
      return as_strided(base, g.sizes, g.strides, g.offset);
    };
  }
  ensure_autograd_meta(view).replay =
      [&op,
       rest = other ? std::vector<Value>(args + 1, args + op.schema.args.size())
                    : std::vector<Value>(),
       nth,
       other,
       before,
       g = view.geometry()](const Tensor& base) {
        Tensor from = before ? before(base) : base;
        if (!other) {
          return as_strided(from, g.sizes, g.strides, g.offset);
        }
        std::vector<Value> again{from};
        again.insert(again.end(), rest.begin(), rest.end());
        Results views = call(op, again.data());
        Tensor found;
        size_t i = 0;
        for_results(
            views, [&](const Tensor& t) { found = i++ == nth ? t : found; });
        return found;
      };
}

// Marks the results of a view op as views, but for those of inference mode, of
// which nothing is tracked.
void keep_views(
    const Op& op,
    const Value* args,
    Results& views,
    bool recorded) {
  size_t nth = 0;
  for_results(views, [&](const Tensor& t) {
    if (!t->inference) {
      make_view(t, *args[0].tensor(), creation_meta(op, recorded));
      keep_replay(op, args, t, nth);
    }
    ++nth;
  });
}

[[noreturn]] void fail_complex128(const Op& op);

// Where a row does not take complex numbers at all, it says so itself, of
// complex64 as well.
template <typename E>
[[noreturn]] void fail_widened(const E& e) {
  std::string text = e.what();
  for (std::string_view (*name_of)(Dtype) : {scalar_name, c_name}) {
    std::string_view narrow = name_of(Dtype::Complex64);
    if (size_t at = text.find(narrow); at != std::string::npos) {
      text.replace(at, narrow.size(), name_of(Dtype::Complex128));
    }
  }
  throw E(text);
}

[[noreturn]] void fail_without_form(const Op& op, const Call& c) {
  auto narrow = [](const Tensor& t) {
    return t.defined() && t.dtype() == Dtype::Complex128
               ? copied(
                     t, Dtype::Complex64, dense_like(t.geometry()), t.device())
               : t;
  };
  std::vector<Value> args(c.args, c.args + op.schema.args.size());
  for (Value& v : args) {
    if (const Tensor* t = v.tensor()) {
      v = Value(narrow(*t));
    } else if (auto* list = v.get_if<TensorList>()) {
      TensorList all;
      std::transform(
          list->begin(), list->end(), std::back_inserter(all), narrow);
      v = Value(std::move(all));
    } else if (
        const Dtype* d = v.get_if<Dtype>(); d && *d == Dtype::Complex128) {
      v = Value(Dtype::Complex64);
    }
  }
  Call other = c;
  other.args = args.data();
  if (other.common == Dtype::Complex128) {
    other.common = Dtype::Complex64;
  }
  try {
    (void)op.forward(other);
  } catch (const NotImplementedError& e) {
    fail_widened(e);
  } catch (const TypeError& e) {
    fail_widened(e);
  } catch (const Error& e) {
    fail_widened(e);
  } catch (const std::invalid_argument&) {
    // MLX's, of no interest
  }
  fail_complex128(op);
}

[[noreturn]] void fail_complex128(const Op& op) {
  fail<NotImplementedError>(
      "\"", op.schema.name, "\" not implemented for 'ComplexDouble'");
}

// Does a complex128 tensor come in, or is one asked for?
bool meets_complex128(const Call& c) {
  if (c.cast && c.common == Dtype::Complex128) {
    return true;
  }
  bool met = false;
  for (size_t i = 0; i < c.op.schema.args.size(); ++i) {
    if (const Dtype* d = c.args[i].get_if<Dtype>()) {
      met = met || *d == Dtype::Complex128;
    } else if (!c.cast || !c.op.promoted[i]) {
      for_tensors(c.args[i], [&](const Tensor& t) {
        met = met || t.dtype() == Dtype::Complex128;
      });
    }
  }
  return met;
}

// See Note [Complex128].
Results run_complex128(const Op& op, const Call& c) {
  if (!op.complex128) {
    fail_without_form(op, c);
  }
  NoGrad guard; // the derivative is the row's
  WithoutAutocast no_casts;
  Results results = op.complex128(c);
  for (Value& r : results) {
    if (const Tensor* t = r.tensor(); t && (*t)->autograd) {
      r = Value(t->alias()); // a view of nothing that is there
    }
  }
  return results;
}

Results run_view(const Op& op, const Value* args) {
  Call c{op, args};
  const Tensor& self = *args[0].tensor();
  TensorList views;
  for (ViewSpec& spec : op.view_fn(c)) {
    Tensor view = self.alias(std::move(spec.geometry), spec.dtype);
    view->conj = spec.conj;
    view->neg = spec.neg;
    if (view->inference) {
      view->version = {};
    }
    views.push_back(std::move(view));
  }
  Results results;
  if (op.list_result) {
    results.push_back(Value(std::move(views)));
  } else {
    results.push_back(Value(std::move(views.at(0))));
  }
  return results;
}

} // namespace

Results run(const Op& op, const Value* args) {
  if (top_level()) [[unlikely]] {
    return run_below(top_level(), op, args);
  }
  if (is_dispatched(op, args)) [[unlikely]] {
    return dispatched(op, OpForm::Functional, args);
  }
  return op.view ? run_view(op, args) : run_kernel(op, args);
}

namespace {

// ... and those that are not there: each has its place among gradients.
template <typename F>
void for_places(Results& results, F&& f) {
  for (Value& r : results) {
    if (const auto* list = r.get_if<TensorList>()) {
      std::for_each(list->begin(), list->end(), f);
    } else if (const auto* t = r.get_if<Tensor>()) {
      f(*t);
    }
  }
}

void refuse(const Op& op, const Call& c) {
  Dtype d = c.common;
  for (size_t i = 0; !c.cast && i < op.schema.args.size(); ++i) {
    if (const Tensor* t = c.args[i].tensor()) {
      d = t->dtype();
      break;
    }
  }
  FL_CHECK_AS(
      NotImplementedError,
      !(op.refused & kind_of(d)),
      "\"",
      op.refused_name,
      "\" not implemented for '",
      scalar_name(d),
      "'");
}

} // namespace

void set_op_observer(OpObserver observer) {
  op_observer.store(observer);
}

Dtype result_type(const std::vector<const Value*>& operands) {
  Operands all;
  for (const Value* v : operands) {
    if (const auto* s = v->get_if<Scalar>()) {
      Operands::add(all.numbers, s->dtype());
    } else {
      for_tensors(*v, [&](const Tensor& t) { all.add(t); });
    }
  }
  return all.result();
}

Results run_kernel(const Op& op, const Value* args) {
  Call c{op, args};
  if (op.check) {
    op.check(c);
  }
  if (op.promotion != Promotion::None) {
    Operands all;
    for (size_t i = 0; i < op.promoted.size(); ++i) {
      if (!op.promoted[i]) {
        continue;
      }
      if (const auto* s = args[i].get_if<Scalar>()) {
        Operands::add(all.numbers, s->dtype());
      } else {
        for_tensors(args[i], [&](const Tensor& t) {
          if (op.promotion == Promotion::Dtypes) {
            Operands::add(all.dims, t.dtype());
          } else {
            all.add(t);
          }
        });
      }
    }
    c.cast = true;
    c.common = all.result();
    if (op.promotion == Promotion::Float && is_integral(c.common, true)) {
      c.common = default_dtype();
    }
  }
  if (op.elementwise) {
    const IntList* sizes = nullptr; // of those before, together
    IntList together;
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
      const Tensor* t = args[i].tensor();
      if (t && !sizes) {
        sizes = &t->sizes();
      } else if (t && t->sizes() != *sizes) {
        together = broadcast_sizes(*sizes, t->sizes());
        sizes = &together;
      }
    }
  }
  if (op.refused) [[unlikely]] {
    refuse(op, c);
  }
  try {
    if (meets_complex128(c)) [[unlikely]] {
      return run_complex128(op, c);
    }
    return op.forward(c);
  } catch (const NotForComplex128&) {
    fail_complex128(op);
  } catch (const Error&) {
    throw;
  } catch (const std::invalid_argument& e) {
    // MLX found the shapes or dtypes wrong where no check of ours did.
    fail(op.schema.name, "(): ", e.what());
  }
}

namespace {

// The two ends of call(), each a function with one result that is made in
// place. any: an argument requires gradients, though the tape sees nothing of
// the call.
Results call_unrecorded(const Op& op, const Value* args, bool any) {
  Results results = run(op, args);
  if (any && is_copy(op)) [[unlikely]] {
    // PyTorch makes them by copy_, which records.
    copy_(results[0].as<Tensor>(), *args[0].tensor(), false);
    return results;
  }
  bool inference = autograd_state().inference_mode;
  // The same bytes under another dtype are no view that autograd follows.
  if (op.view && op.derivative != Derivative::NotDifferentiable) {
    keep_views(op, args, results, false);
  } else if (op.view) { // the same bytes under another dtype
    for_results(results, made_now);
  } else if (inference) {
    for_results(results, [&](const Tensor& t) {
      // An alias is what its tensor is.
      const Tensor* self = args[0].tensor();
      bool alias = self && t->storage == (*self)->storage;
      t->inference = t->inference || !alias;
      if (t->inference) {
        t->version = {};
      }
    });
  }
  return results;
}

Results call_recorded(const Op& op, const Value* args) {
  auto node = std::make_shared<OpNode>(op, args);
  Results results = run(op, args);
  if (op.view) {
    keep_views(op, args, results, true);
  }
  for_places(results, [&](const Tensor& t) {
    if (t.defined() && differentiable_dtype(t.dtype())) {
      set_history(t, node);
    } else {
      node->add_undefined_input();
    }
  });
  node->save_results(results);
  return results;
}

} // namespace

bool fresh_output(const Tensor& result, const Op& op, const Value* args) {
  bool fresh = true;
  for (size_t i = 0; fresh && i < op.schema.args.size(); ++i) {
    for_tensors(args[i], [&](const Tensor& t) {
      fresh = fresh && t->storage.get() != result->storage.get();
    });
  }
  return fresh;
}

namespace {

// Conjugates and negatives that are not computed yet are.
void resolve_bits(const Op& op, Value* args) {
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    bool any = false;
    for_tensors(args[i], [&](const Tensor& t) { any = any || has_bits(t); });
    if (any) [[unlikely]] {
      args[i] = mapped_tensors(args[i], [](const Tensor& t) {
        return resolve_neg(resolve_conj(t));
      });
    }
  }
}

Results run_parts_in_inference_mode(const Op& op, Value* args) {
  if (!op.keeps_bits) {
    resolve_bits(op, args);
  }
  Results results = op.forward(Call{op, args});
  // What was no op's result (it came from numbers, say) is of the mode too.
  for_results(results, [&](const Tensor& t) {
    if (!t->inference && fresh_output(t, op, args)) {
      made_now(t);
    }
  });
  return results;
}

// What lies behind the door.
Results call_behind(const Op& op, Value* args);

} // namespace

Results call(const Op& op, Value* args) {
  enter(op);
  if (profiling()) [[unlikely]] {
    OpScope scope(op, OpForm::Functional, args);
    Results results = call_behind(op, args);
    scope.settle(results);
    return results;
  }
  return call_behind(op, args);
}

namespace {

Results call_behind(const Op& op, Value* args) {
  if (op.target) [[unlikely]] {
    return call(*op.target, args);
  }
  if (any_autocast() && autocast_args(op, args)) [[unlikely]] {
    WithoutAutocast guard; // the op's own parts take what they are given
    return call_behind(op, args);
  }
  if (op.composite) {
    if (op.mutates && is_dispatched(op, args)) [[unlikely]] {
      return dispatched(op, OpForm::Functional, args);
    }
    try {
      return autograd_state().inference_mode && !op.mutates
                 ? run_parts_in_inference_mode(op, args)
                 : op.forward(Call{op, args});
    } catch (const NotForComplex128&) {
      fail_complex128(op);
    } catch (const NotOneValue&) {
      if (op.mutates) {
        throw; // it may have written already
      }
      if (std::optional<Results> results = run_entries(op, args)) {
        return std::move(*results);
      }
      throw;
    }
  }
  if (forward_enabled() && any_tangent(op, args)) [[unlikely]] {
    return call_dual(op, args);
  }
  std::vector<Value> at_level;
  if (const LevelHandle& level = top_level()) [[unlikely]] {
    if (level->kind == LevelKind::Batch) {
      return run_batched(level, op, args);
    }
    at_level = lifted(level, op, args);
    args = at_level.data();
  }
  // Inference tensors alone are not seen by autograd, whatever they require.
  bool any =
      !op.differentiable.empty() && recording() && any_requires_grad(op, args);
  bool record = any && any_normal(op, args);
  if (record && op.derivative == Derivative::Vjp && op.complex128)
      [[unlikely]] {
    Call c{op, args};
    if (meets_complex128(c)) {
      return op.complex128(c); // MLX cannot derive this: the graph of its parts
    }
  }
  return record ? call_recorded(op, args) : call_unrecorded(op, args, any);
}

} // namespace

} // namespace flashlight
