// Ops whose results go into the tensors given as out=.
#include <algorithm>

#include "flashlight/autograd/forward_mode.h"
#include "flashlight/autograd/view_autograd.h"
#include "flashlight/ops/autocast.h"
#include "flashlight/ops/call_parts.h"
#include "flashlight/ops/dispatch_mode.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/write_checks.h"

namespace flashlight {

namespace {

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

// Before anything is written.
void check_can_grow(const Tensor& out, const IntList& sizes) {
  Geometry g{sizes, contiguous_strides(sizes), out.storage_offset()};
  FL_CHECK(
      out.sizes() == sizes || out->storage->resizable() ||
          storage_extent(g) * itemsize(out.dtype()) <= out->storage->nbytes(),
      "Trying to resize storage that is not resizable");
}

bool is_operand(const Op& op, const Value* args, const Tensor& tensor) {
  bool found = false;
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(
        args[i], [&](const Tensor& t) { found = found || t.is_same(tensor); });
  }
  return found;
}

bool any_out_dispatching(const TensorList& outs) {
  return std::any_of(outs.begin(), outs.end(), [](const Tensor& t) {
    return is_dispatching(t);
  });
}

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

// Does any tensor belong to the level?
bool any_at(
    const Level& level,
    const Op& op,
    const Value* args,
    const TensorList& outs) {
  auto is = [&](const Tensor& t) { return is_at(t, level); };
  bool any = std::any_of(outs.begin(), outs.end(), is);
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(args[i], [&](const Tensor& t) { any = any || is(t); });
  }
  return any;
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
  if (LevelHandle level = top_level()) [[unlikely]] {
    bool random = op.schema.index_of("generator") >= 0;
    if (level->kind == LevelKind::Batch && !random &&
        !any_at(*level, op, args, outs)) {
      BelowLevel below(*level);
      return call_out(op, args, outs); // it is the same for all entries
    }
    FL_CHECK(
        level->kind != LevelKind::Batch || !random,
        "vmap: We do not support calling out variants of random operations "
        "inside of vmap. Please use non-out variants as a workaround");
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
  if (!op.composite && (is_dispatched(op, args) || any_out_dispatching(outs)))
      [[unlikely]] {
    return dispatched_out(op, args, outs);
  }
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
    check_can_grow(outs[i], values[i].sizes());
    check_inference_write(outs[i]);
  }
  for (size_t i = 0; i < outs.size(); ++i) {
    const Tensor& out = outs[i];
    if (is_dispatching(out)) [[unlikely]] {
      copy_(out, values[i], false); // of a composite, whose parts ran
      continue;
    }
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
      out->geometry.strides = dense_like(values[i].geometry());
    }
    out.assign(values[i]);
    out.bump_version();
  }
}

} // namespace flashlight
