#include <algorithm>
#include <atomic>

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/forward_mode.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/autograd/view_autograd.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/autocast.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/dispatch_mode.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/in_parts.h"
#include "flashlight/ops/op_node.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

namespace {

// In inference mode nothing is, whatever grad mode says.
bool recording() {
  const AutogradState& state = autograd_state();
  return state.grad_mode && !state.inference_mode;
}

std::atomic<OpObserver> op_observer{nullptr};

void enter(const Op& op) {
  if (OpObserver f = op_observer.load(std::memory_order_relaxed)) [[unlikely]] {
    f(op);
  }
  enter_stream();
}

bool any_requires_grad(const Op& op, const Value* args) {
  bool any = false;
  for (int i : op.differentiable) {
    for_tensors(
        args[i], [&](const Tensor& t) { any = any || requires_grad(t); });
  }
  return any;
}

bool differentiable_dtype(Dtype d) {
  return is_floating(d) || is_complex(d);
}

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

// Keeps how `view` is made of its base, if it shows it in another way than a
// geometry can say, or what it is a view of does.
void keep_replay(const Op& op, const Value* args, const Tensor& view) {
  const Tensor& self = *args[0].tensor();
  const AutogradMeta* parent = autograd_meta(self);
  bool of_view = parent && parent->is_view;
  bool other = view.is_complex() != self.is_complex() ||
               view->conj != self->conj || view->neg != self->neg;
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
      [&op, other, before, g = view.geometry()](const Tensor& base) {
        Tensor from = before ? before(base) : base;
        if (!other) {
          return as_strided(from, g.sizes, g.strides, g.offset);
        }
        Value self[] = {from};
        return call(op, self)[0].as<Tensor>();
      };
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

Results run(const Op& op, const Value* args) {
  if (top_level()) [[unlikely]] {
    return run_below(top_level(), op, args);
  }
  if (dispatch_mode()) [[unlikely]] {
    return run_in_mode(op, OpForm::Functional, args);
  }
  return op.view ? run_view(op, args) : run_kernel(op, args);
}

template <typename F>
void for_results(Results& results, F&& f) {
  for (Value& r : results) {
    for_tensors(r, f);
  }
}

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

void check_writable(const Tensor& t) {
  FL_CHECK(
      t.numel() == 0 || !has_internal_overlap(t.geometry()),
      "unsupported operation: more than one element of the written-to tensor "
      "refers to a single memory location. Please clone() the tensor before "
      "performing the operation.");
}

// Where an op's out= is of another dtype than its result: see Op::out_mismatch,
// a text for each result ("|" between them), or one for all. It may begin with
//   %*   anything is cast
//   %=   without a dtype, the op's is that of out=
//   %?   only what cannot be cast is an error
//   %r   as %?, but complex numbers are not made of real ones either
//   %u   bool and uint8 stand for each other
//   %c   as %?, and the rest is a function, and "/" and what it gives there
//   %t   the error is a TypeError; %i, a NotImplementedError.
void check_out_dtype(
    std::string_view text,
    size_t place,
    Dtype result,
    Dtype out) {
  for (size_t bar; (bar = text.find('|')) != text.npos; --place) {
    if (place == 0) {
      text = text.substr(0, bar);
      break;
    }
    text.remove_prefix(bar + 1);
  }
  auto begins = [&](std::string_view code) {
    bool found = text.substr(0, 2) == code;
    text.remove_prefix(found ? 2 : 0);
    return found;
  };
  auto small = [](Dtype d) { return d == Dtype::Bool || d == Dtype::UInt8; };
  begins("%=");
  bool linalg = begins("%c"), real = begins("%r");
  bool castable = can_cast(result, out) &&
                  !(real && is_complex(out) && !is_complex(result));
  if (begins("%*") || ((linalg || real || begins("%?")) && castable) ||
      (begins("%u") && small(result) && small(out))) {
    return;
  }
  if (linalg) {
    size_t slash = std::min(text.find('/'), text.size());
    std::string_view what =
        slash == text.size() ? "result" : text.substr(slash + 1);
    fail(
        text.substr(0, slash),
        ": Expected ",
        what,
        " to be safely castable from ",
        scalar_name(result),
        " dtype, but got ",
        what,
        " with dtype ",
        scalar_name(out));
  }
  bool type = begins("%t"), missing = begins("%i");
  std::string message;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      message += text[i];
      continue;
    }
    char code = text[++i];
    Dtype d = code == 'R' || code == 'r' ? result : out;
    message += code == 'R' || code == 'O' ? scalar_name(d) : c_name(d);
  }
  FL_CHECK_TYPE(!type, message);
  FL_CHECK_AS(NotImplementedError, !missing, message);
  fail(message);
}

bool is_operand(const Op& op, const Value* args, const Tensor& tensor) {
  bool found = false;
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(
        args[i], [&](const Tensor& t) { found = found || t.is_same(tensor); });
  }
  return found;
}

// Is one of the operands not an inference tensor? A number is a tensor of the
// mode of the moment.
bool any_normal(const Op& op, const Value* args) {
  bool any = false, inference = autograd_state().inference_mode;
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(args[i], [&](const Tensor& t) {
      any = any || !(t->inference || (t->wrapped_number && inference));
    });
  }
  return any;
}

// Among inference tensors, in inference mode, writes are not counted.
bool counts_writes(const Op& op, const Value* args) {
  return !autograd_state().inference_mode || any_normal(op, args);
}

// Do two tensors share some elements, and (unless `wholly_too`) not all of them
// in the same order?
// As PyTorch: only dense ones are looked at.
bool overlaps_partly(const Tensor& a, const Tensor& b, bool wholly_too) {
  if (a->storage.get() != b->storage.get() ||
      (a.geometry() == b.geometry() && !wholly_too) || a.numel() == 0 ||
      b.numel() == 0 || !is_dense(a.sizes(), a.strides()) ||
      !is_dense(b.sizes(), b.strides())) {
    return false;
  }
  auto begin = [](const Tensor& t) {
    return t.storage_offset() * itemsize(t.dtype());
  };
  auto end = [&](const Tensor& t) {
    return begin(t) + t.numel() * itemsize(t.dtype());
  };
  if (begin(a) == begin(b) && end(a) == end(b)) {
    return wholly_too || a.strides() != b.strides();
  }
  return begin(a) < end(b) && begin(b) < end(a);
}

// Does copy_() give what is there already, as the last step of x[1:] += 1?
bool copies_itself(const Op& op, const Value* args, const Tensor& to) {
  if (op.schema.name != "copy") {
    return false;
  }
  const Tensor& from = *args[1].tensor();
  return from->storage.get() == to->storage.get() &&
         from.geometry() == to.geometry() && from.dtype() == to.dtype() &&
         from->conj == to->conj && from->neg == to->neg;
}

bool has_bits(const Tensor& t) {
  return t->conj || t->neg;
}

// Is the op to compute beside a view with bits, and be copied to it? As
// PyTorch.
bool on_copy(const Op& op, const Tensor& self) {
  return has_bits(self) && op.schema.name != "copy";
}

// May the op write to `to` while it reads its arguments? Views with bits are
// copied first, as in PyTorch.
void check_overlap(const Op& op, const Value* args, const Tensor& to) {
  const std::string& name = op.schema.name;
  if (name == "index_put" || name == "_index_put" || name == "masked_fill" ||
      name == "index_fill") {
    if (has_internal_overlap(to.geometry())) {
      bool mask = name == "masked_fill";
      warn(
          detail::concat(
              "Use of ",
              name == "_index_put" ? "index_put" : name,
              "_ on expanded tensors is deprecated. Please clone() the tensor "
              "before performing this operation. This also applies to advanced "
              "indexing e.g. ",
              mask ? "tensor[mask] = scalar" : "tensor[indices] = tensor"));
    }
    if (name == "_index_put" && !args[4].as<bool>()) {
      for (size_t i : {1, 2}) {
        for_tensors(args[i], [&](const Tensor& t) {
          FL_CHECK(
              has_bits(t) || (!t.is_same(to) &&
                              !overlaps_partly(to, t, /*wholly_too=*/true)),
              "unsupported operation: some elements of the input tensor and "
              "the written-to tensor refer to a single memory location. Please "
              "clone() the tensor before performing the operation.");
        });
      }
    }
    return;
  }
  if (name == "copy") {
    const Tensor* from = args[1].tensor();
    if (from && (*from)->storage.get() == to->storage.get() &&
        from->geometry() == to.geometry()) {
      return; // itself
    }
  }
  if (has_internal_overlap(to.geometry()) && !op.fills) {
    check_writable(to);
  }
  if ((!op.elementwise && !op.out_apart) || has_bits(to)) {
    return;
  }
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(args[i], [&](const Tensor& t) {
      if (has_bits(t) && !t.is_same(to)) {
        return;
      }
      FL_CHECK(
          t.is_same(to) ? !op.out_apart : !overlaps_partly(to, t, op.out_apart),
          "unsupported operation: some elements of the input tensor and the "
          "written-to tensor refer to a single memory location. Please clone() "
          "the tensor before performing the operation.");
    });
  }
}

void check_result_cast(const Tensor& result, const Tensor& to) {
  FL_CHECK(
      can_cast(result.dtype(), to.dtype()),
      "result type ",
      scalar_name(result.dtype()),
      " can't be cast to the desired output type ",
      scalar_name(to.dtype()));
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
    for_results(results, [&](const Tensor& t) {
      if (!t->inference) { // of which nothing is tracked
        make_view(t, *args[0].tensor(), creation_meta(op, false));
        keep_replay(op, args, t);
      }
    });
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
    for_results(results, [&](const Tensor& t) {
      make_view(t, *args[0].tensor(), creation_meta(op, true));
      keep_replay(op, args, t);
    });
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

// Has the result a storage of its own?
bool fresh_output(const Tensor& result, const Op& op, const Value* args) {
  bool fresh = true;
  for (size_t i = 0; fresh && i < op.schema.args.size(); ++i) {
    for_tensors(args[i], [&](const Tensor& t) {
      fresh = fresh && t->storage.get() != result->storage.get();
    });
  }
  return fresh;
}

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

} // namespace

Results call(const Op& op, Value* args) {
  enter(op);
  if (op.target) [[unlikely]] {
    return call(*op.target, args);
  }
  if (any_autocast() && autocast_args(op, args)) [[unlikely]] {
    WithoutAutocast guard; // the op's own parts take what they are given
    return call(op, args);
  }
  if (op.composite) {
    if (op.mutates && dispatch_mode()) [[unlikely]] {
      return run_in_mode(op, OpForm::Functional, args);
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
      return run_entries(top_level(), op, args);
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

namespace {

// ... whose errors name the in-place form.
ViewSpec inplace_spec(const Op& op, Value* args) {
  try {
    return std::move(op.view_fn(Call{op, args}).at(0));
  } catch (const Error& e) {
    std::string text = e.what(), name = op.schema.name + "()";
    if (text.substr(0, name.size()) == name) {
      fail(text.insert(op.schema.name.size(), "_"));
    }
    throw;
  }
}

// The view's geometry put on `self`. Its storage is not written to.
Tensor call_inplace_view(const Op& op, Value* args) {
  Tensor self = *args[0].tensor();
  bool any = recording() && any_requires_grad(op, args) && any_normal(op, args);
  check_inplace(self, any);
  // What is shown then: a window on the storage, or on what it stands for.
  Geometry geometry;
  Tensor view;
  if (self->wrapped) [[unlikely]] {
    view = *run(op, args)[0].tensor();
  } else {
    geometry = inplace_spec(op, args).geometry;
  }
  std::shared_ptr<OpNode> node;
  if (any && differentiable_dtype(self.dtype())) {
    node = std::make_shared<OpNode>(op, args, /*inplace=*/true);
  }
  check_inference_write(self);
  if (self->wrapped) [[unlikely]] {
    rewrap(self, view->wrapped->inner, view->wrapped->batch_dim);
  } else {
    self->geometry = std::move(geometry);
  }
  if (counts_writes(op, args)) [[likely]] {
    replace_history(self, node);
  }
  if (forward_enabled() && has_tangent(self)) [[unlikely]] {
    std::vector<Value> of_tangent = arguments(op, args);
    of_tangent[0] = tangent(self);
    HideTangents hidden;
    call_inplace(op, of_tangent.data());
  }
  return self;
}

void check_sizes(const Tensor& result, const Tensor& self) {
  FL_CHECK(
      result.sizes() == self.sizes(),
      "output with shape ",
      self.sizes(),
      " doesn't match the broadcast shape ",
      result.sizes());
}

void check_fits(const Tensor& result, const Tensor& self) {
  check_sizes(result, self);
  check_result_cast(result, self);
}

void check_write(const Tensor& result, const Tensor& self) {
  check_fits(result, self);
  check_inference_write(self);
}

void check_copy(const Tensor& result, const Tensor& self) {
  check_fits(result, self);
  check_writable(self);
  check_inference_write(self);
}

// The parts run on what self was; self takes their result and its history.
Tensor call_composite_inplace(const Op& op, Value* args) {
  Tensor self = *args[0].tensor();
  bool any = false;
  for (size_t i = 0; recording() && i < op.schema.args.size(); ++i) {
    for_tensors(
        args[i], [&](const Tensor& t) { any = any || requires_grad(t); });
  }
  any = any && any_normal(op, args);
  check_inplace(self, any);
  bool beside = on_copy(op, self);
  if (!beside) {
    check_overlap(op, args, self);
  }
  // A mode is to see the write.
  bool plain = !top_level() && !forward_enabled() && !dispatch_mode();
  bool adopt = plain && any && differentiable_dtype(self.dtype());
  if (adopt) {
    args[0] = Value(snapshot(self));
  }
  Results results = call(op, args);
  const Tensor& result = results[0].as<Tensor>();
  (beside ? check_copy : check_write)(result, self);
  if (adopt && result.dtype() == self.dtype() &&
      fresh_output(result, op, args) && can_adopt_history(self, result)) {
    self.assign(result);
    adopt_history(self, result);
  } else {
    copy_(self, result, false);
  }
  return self;
}

} // namespace

Tensor call_inplace(const Op& op, Value* args) {
  enter(op);
  if (op.target) [[unlikely]] {
    return call_inplace(*op.target, args);
  }
  if (op.composite) {
    return call_composite_inplace(op, args);
  }
  if (!op.view && forward_enabled() && any_tangent(op, args)) [[unlikely]] {
    return call_inplace_dual(op, args);
  }
  std::vector<Value> at_level;
  if (const LevelHandle& level = top_level()) [[unlikely]] {
    if (level->kind == LevelKind::Batch) {
      return run_batched_inplace(level, op, args);
    }
    check_captured(level, op, *args[0].tensor());
    at_level = lifted(level, op, args);
    args = at_level.data();
  }
  if (op.view) {
    return call_inplace_view(op, args);
  }
  Tensor self = *args[0].tensor();
  bool any = recording() && !op.differentiable.empty() &&
             any_requires_grad(op, args) && any_normal(op, args);
  if (op.schema.name == "copy") { // integers are written without history
    any = any && differentiable_dtype(self.dtype());
  }
  check_inplace(self, any);
  if (op.check && has_internal_overlap(self.geometry())) {
    op.check(Call{op, args}); // before what is said of the overlap
  }
  FL_CHECK(
      op.schema.name != "abs" || !self.is_complex(),
      "In-place abs is not supported for complex tensors.");
  bool record = any && differentiable_dtype(self.dtype());
  std::shared_ptr<OpNode> node;
  if (record) {
    node = std::make_shared<OpNode>(op, args, /*inplace=*/true);
  } else if (any) {
    for (int i : op.differentiable) { // raises of what is a stale view
      for_tensors(args[i], [](const Tensor& t) { (void)grad_fn(t); });
    }
  }
  bool beside = on_copy(op, self);
  if (!beside) {
    check_overlap(op, args, self);
  }
  Results results;
  if (self->wrapped) [[unlikely]] {
    run_inplace_below(top_level(), op, args);
    results.push_back(Value(self));
  } else if (dispatch_mode()) [[unlikely]] {
    run_in_mode(op, OpForm::Inplace, args);
    results.push_back(Value(self));
  } else if (copies_itself(op, args, self)) {
    check_inference_write(self);
    results.push_back(Value(self));
  } else if (node || beside || !run_in_parts(op, args, self, check_write)) {
    results = run_kernel(op, args);
    const Tensor& result = results[0].as<Tensor>();
    (beside ? check_copy : check_write)(result, self);
    self.assign(result);
  }
  if (counts_writes(op, args)) [[likely]] {
    rebase_history(self, node);
  }
  if (node) {
    results[0] = self;
    node->save_results(results, /*inplace_view=*/is_view(self));
  }
  return self;
}

namespace {

// zeros, arange and the like make what `out` can hold; some sums add it up.
void fill_dtype_of_out(const Op& op, Value* args, const TensorList& outs) {
  int i = op.schema.index_of("dtype");
  if (i < 0 || outs.empty()) {
    return;
  }
  Value& dtype = args[i];
  if (op.schema.index_of("layout") < 0) {
    if (dtype.is_none() && op.out_mismatch &&
        std::string_view(op.out_mismatch).substr(0, 2) == "%=") {
      dtype = outs[0].dtype();
    }
    return;
  }
  if (dtype.is_none()) {
    dtype = outs[0].dtype();
  }
  FL_CHECK(
      dtype.as<Dtype>() == outs[0].dtype(),
      "dtype ",
      scalar_name(dtype.as<Dtype>()),
      " does not match dtype of out parameter (",
      scalar_name(outs[0].dtype()),
      ")");
}

} // namespace

void call_out(const Op& op, Value* args, TensorList& outs) {
  enter(op);
  if (op.target) [[unlikely]] {
    return call_out(*op.target, args, outs);
  }
  const std::string& name = op.schema.name;
  if (recording() && op.derivative != Derivative::NotDifferentiable) {
    bool any = false, normal = any_normal(op, args);
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
      for_tensors(
          args[i], [&](const Tensor& t) { any = any || requires_grad(t); });
    }
    for (const Tensor& t : outs) {
      any = any || requires_grad(t);
      normal = normal || !t->inference;
    }
    FL_CHECK(
        !any || !normal,
        name,
        "(): functions with out=... arguments don't support automatic "
        "differentiation, but one of the arguments requires grad.");
  }
  if (top_level()) [[unlikely]] {
    fail(
        "Batching rule not implemented for aten::",
        name,
        ".out; the fallback path doesn't work on out= or view ops.");
  }
  if (forward_enabled()) [[unlikely]] {
    FL_CHECK_AS(
        NotImplementedError,
        !any_tangent(op, args) &&
            !std::any_of(outs.begin(), outs.end(), has_tangent),
        "Trying to use forward AD with ",
        name,
        "_out that does not support it because it is an out= function");
  }
  fill_dtype_of_out(op, args, outs);
  NoGrad guard;
  WithoutAutocast no_casts;
  for (const Tensor& t : outs) {
    check_overlap(op, args, t);
  }
  Results results = call(op, args);
  TensorList values;
  for_results(results, [&](const Tensor& t) { values.push_back(t); });
  FL_CHECK(
      values.size() == outs.size(),
      name,
      "(): expected ",
      values.size(),
      " output tensors, got ",
      outs.size());
  for (size_t i = 0; i < outs.size(); ++i) {
    // What is read too is not resized.
    bool read_too = op.elementwise && is_operand(op, args, outs[i]);
    if (read_too) {
      check_sizes(values[i], outs[i]);
    }
    if (!op.out_mismatch) {
      check_result_cast(values[i], outs[i]);
    } else if (values[i].dtype() != outs[i].dtype()) {
      check_out_dtype(op.out_mismatch, i, values[i].dtype(), outs[i].dtype());
    }
    if (read_too) {
      check_result_cast(values[i], outs[i]);
    }
    check_inference_write(outs[i]);
  }
  for (size_t i = 0; i < outs.size(); ++i) {
    const Tensor& out = outs[i];
    if (out.sizes() != values[i].sizes()) {
      if (out.numel() != 0) {
        warn(
            detail::concat(
                "An output with one or more elements was resized since it had "
                "shape ",
                out.sizes(),
                ", which does not match the required output shape ",
                values[i].sizes(),
                ". This behavior is deprecated, and in a future PyTorch "
                "release "
                "outputs will not be resized unless they have zero elements. "
                "You "
                "can explicitly reuse an out tensor t by resizing it, inplace, "
                "to "
                "zero elements with t.resize_(0)."));
      }
      resize_tensor(out, values[i].sizes());
      if (op.elementwise) {
        out->geometry.strides = values[i].strides();
      }
    }
    out.assign(values[i]);
    out.bump_version();
  }
}

} // namespace flashlight
