#include "flashlight/ops/complex128.h"

#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/ops/registry.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

namespace {

enum class Part : uint8_t { Real, Imag };

// A part of a tensor as a float64 tensor; other dtypes are real.
Tensor part_of(const Tensor& t, Part part) {
  if (!t.defined()) {
    return t;
  }
  int i = part == Part::Imag;
  if (t.dtype() == Dtype::Complex128 && !t->conj && !t->neg &&
      !is_dense(t.sizes(), t.strides())) {
    Geometry window = t.geometry(); // whose order of dimensions is to be seen
    for (int64_t& stride : window.strides) {
      stride *= 2;
    }
    window.offset = 2 * window.offset + i;
    Tensor out = t.alias(std::move(window), Dtype::Float64);
    out->wrapped_number = t->wrapped_number;
    return out;
  }
  mx::array both = mx::split(pairs_of(t), 2, -1)[static_cast<size_t>(i)];
  IntList strides = is_dense(t.sizes(), t.strides())
                        ? t.strides()
                        : contiguous_strides(t.sizes());
  Tensor out(mx::squeeze(both, -1), std::move(strides), t.device());
  out->wrapped_number = t->wrapped_number;
  return out;
}

std::vector<Value> arguments_of(const Call& call) {
  return std::vector<Value>(call.args, call.args + call.op.schema.args.size());
}

std::optional<Dtype> dtype_argument(const Call& call) {
  for (const Value& v : arguments_of(call)) {
    if (const auto* d = v.get_if<Dtype>()) {
      return *d;
    }
  }
  return std::nullopt;
}

// Is there a tensor of another dtype beside, which no promotion brings in? The
// row itself says what is wrong with it.
bool mismatched(const Call& call) {
  bool found = false;
  for (size_t i = 0; i < call.op.schema.args.size(); ++i) {
    if (!call.cast || !call.op.promoted[i]) {
      for_tensors(call.args[i], [&](const Tensor& t) {
        found = found || t.is_floating_point() || t.dtype() == Dtype::Complex64;
      });
    }
  }
  return found;
}

// The arguments of a call, its complex128 tensors and its numbers replaced by
// that part of theirs.
std::vector<Value>
parts_of(const Call& call, Part part, std::string_view factor) {
  std::vector<Value> args = arguments_of(call);
  bool all = dtype_argument(call).has_value();
  for (size_t i = 0; i < args.size(); ++i) {
    bool joins = all || (call.cast && call.op.promoted[i]);
    auto split = [&](const Tensor& t) {
      return t.defined() && (joins || t.dtype() == Dtype::Complex128)
                 ? part_of(t, part)
                 : t;
    };
    if (const Tensor* t = args[i].tensor()) {
      args[i] = Value(split(*t));
    } else if (auto* list = args[i].get_if<TensorList>()) {
      TensorList halves;
      for (const Tensor& t : *list) {
        halves.push_back(split(t));
      }
      args[i] = Value(std::move(halves));
    } else if (const auto* x = args[i].get_if<Scalar>()) {
      std::complex<double> z = x->to_complex();
      if (call.op.schema.args[i].name == factor) {
        if (z.imag() != 0) {
          throw NotForComplex128();
        }
        continue;
      }
      args[i] = Value(Scalar(part == Part::Imag ? z.imag() : z.real()));
    } else if (args[i].get_if<Dtype>()) {
      args[i] = Value(Dtype::Float64);
    }
  }
  return args;
}

Tensor join(const Tensor& real, const Tensor& imag) {
  if (!real.defined() || real.dtype() != Dtype::Float64) {
    return real; // of no complex numbers: indices and the like
  }
  IntList strides = is_dense(real.sizes(), real.strides())
                        ? real.strides()
                        : contiguous_strides(real.sizes());
  return from_pairs(
      mx::stack({real.value(), imag.value()}, -1),
      std::move(strides),
      real.device());
}

Results join(const Results& real, const Results& imag) {
  Results out;
  for (size_t k = 0; k < real.size(); ++k) {
    if (const auto* list = real[k].get_if<TensorList>()) {
      TensorList joined;
      for (size_t j = 0; j < list->size(); ++j) {
        joined.push_back(join((*list)[j], imag[k].as<TensorList>()[j]));
      }
      out.push_back(Value(std::move(joined)));
    } else {
      out.push_back(Value(join(real[k].as<Tensor>(), imag[k].as<Tensor>())));
    }
  }
  return out;
}

} // namespace

ForwardFn itself() {
  return [](const Call& call) { return call.op.forward(call); };
}

ForwardFn parts(std::string_view factor) {
  return [factor](const Call& call) {
    auto dtype = dtype_argument(call);
    if (dtype && *dtype != Dtype::Complex128) {
      std::vector<Value> args = arguments_of(call);
      for (Value& v : args) {
        if (const Tensor* t = v.tensor()) {
          v = Value(copied(*t, *dtype, dense_like(t->geometry()), t->device()));
        }
      }
      return run_kernel(call.op, args.data());
    }
    if (!dtype && mismatched(call)) {
      return call.op.forward(call);
    }
    return join(
        run_kernel(call.op, parts_of(call, Part::Real, factor).data()),
        run_kernel(call.op, parts_of(call, Part::Imag, factor).data()));
  };
}

ForwardFn same_dtypes(ForwardFn form) {
  return [form = std::move(form)](const Call& call) {
    return mismatched(call) ? call.op.forward(call) : form(call);
  };
}

ForwardFn products() {
  return [](const Call& call) {
    const Tensor &a = *call.args[0].tensor(), &b = *call.args[1].tensor();
    if (!call.cast && a.dtype() != b.dtype()) {
      return call.op.forward(call); // which says so
    }
    auto product = [&](Part of_a, Part of_b) {
      std::vector<Value> args = arguments_of(call);
      args[0] = Value(part_of(a, of_a));
      args[1] = Value(part_of(b, of_b));
      return run_kernel(call.op, args.data())[0].as<Tensor>();
    };
    Tensor rr = product(Part::Real, Part::Real);
    Tensor ii = product(Part::Imag, Part::Imag);
    Tensor ri = product(Part::Real, Part::Imag);
    Tensor ir = product(Part::Imag, Part::Real);
    mx::array real = mx::subtract(rr.value(), ii.value());
    mx::array imag = mx::add(ri.value(), ir.value());
    Results results;
    results.push_back(Value(
        from_pairs(mx::stack({real, imag}, -1), rr.strides(), rr.device())));
    return results;
  };
}

Z over(Z a, Z b) {
  double c = b.real(), d = b.imag();
  if (std::abs(c) >= std::abs(d)) {
    if (c == 0 && d == 0) {
      return {a.real() / std::abs(c), a.imag() / std::abs(d)};
    }
    double ratio = d / c, scale = 1 / (c + d * ratio);
    return {
        (a.real() + a.imag() * ratio) * scale,
        (a.imag() - a.real() * ratio) * scale};
  }
  double ratio = c / d, scale = 1 / (d + c * ratio);
  return {
      (a.real() * ratio + a.imag()) * scale,
      (a.imag() * ratio - a.real()) * scale};
}

} // namespace flashlight
