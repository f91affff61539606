// Greatest and least elements, and where they are.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/kernels/host.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

constexpr const char* kExtremumOut =
    "%?Expected canCast( typeMetaToScalarType(self.dtype()), "
    "typeMetaToScalarType(out.dtype())) to be true, but got false.  (Could "
    "this error message be improved?  If so, please report an enhancement "
    "request to PyTorch.)";

enum class Kind : uint8_t { Max, Min };

template <Kind kind>
constexpr std::string_view name_of(std::string_view max, std::string_view min) {
  return kind == Kind::Max ? max : min;
}

template <Kind kind>
mx::array
extremum(const mx::array& self, const std::vector<int>& axes, bool keepdim) {
  bool boolean = self.dtype() == mx::bool_;
  mx::array x = boolean ? mx::astype(self, mx::uint8) : self;
  x = kind == Kind::Max ? mx::max(x, axes, keepdim) : mx::min(x, axes, keepdim);
  return boolean ? mx::astype(x, mx::bool_) : x;
}

// Where the first extremum along an axis is, the axis kept; NaN is one.
template <Kind kind>
mx::array where_extremum(const mx::array& self, int axis) {
  mx::Shape shape = self.shape();
  shape[static_cast<size_t>(axis)] = 1;
  if (use_host()) {
    mx::Dtype type = ordered_type(self.dtype());
    auto find = [type, rows = Rows(self.shape(), axis)](
                    const std::vector<mx::array>& in,
                    std::vector<mx::array>& out) {
      for_ordered(type, [&](auto zero) {
        using T = decltype(zero);
        const T* x = in[0].data<T>();
        auto* y = out[0].data<int64_t>();
        rows.each([&](int64_t start) {
          const T* row = x + start;
          int64_t best = 0;
          for (int64_t i = 1; i < rows.size; ++i) {
            T a = row[i * rows.inner], b = row[best * rows.inner];
            bool better = kind == Kind::Max ? a > b : a < b;
            if (better || (a != a && b == b)) {
              if (b != b) {
                continue;
              }
              best = i;
            }
          }
          *y++ = best;
        });
      });
    };
    return host_op(
        "ArgExtremum", {mx::astype(self, type)}, {{shape, mx::int64}}, find)[0];
  }
  auto arg = [&](const mx::array& x) {
    return kind == Kind::Max ? mx::argmax(x, axis, true)
                             : mx::argmin(x, axis, true);
  };
  mx::array found = arg(self);
  if (mx::issubdtype(self.dtype(), mx::floating)) {
    mx::array bad = mx::isnan(self);
    found =
        mx::where(mx::any(bad, axis, true), mx::argmax(bad, axis, true), found);
  }
  return mx::astype(found, mx::int64);
}

template <Kind kind>
std::tuple<mx::array, mx::array>
extremum_dim(const mx::array& self, int64_t dim, bool keepdim) {
  int axis = axis_of(dim, self);
  check_orders(self, name_of<kind>("max", "min"));
  check_nonzero_size(self, axis, name_of<kind>("max", "min"));
  if (self.ndim() == 0) {
    return {self, mx::zeros({}, mx::int64)};
  }
  if (self.size() == 0) {
    mx::array y = extremum<kind>(self, {axis}, keepdim);
    return {y, mx::zeros(y.shape(), mx::int64)};
  }
  mx::array at = where_extremum<kind>(self, axis);
  mx::array values = mx::take_along_axis(self, at, axis);
  return keepdim ? std::tuple(values, at)
                 : std::tuple(mx::squeeze(values, axis), mx::squeeze(at, axis));
}

template <Kind kind>
mx::array
arg_extremum(const mx::array& self, std::optional<int64_t> dim, bool keepdim) {
  std::string_view name = name_of<kind>("argmax", "argmin");
  Dtype d = from_mlx(self.dtype());
  FL_CHECK(!is_complex(d), name, "(): does not support complex input");
  FL_CHECK(d != Dtype::Bool, name, "(): does not support bool input");
  check_orders(self, name_of<kind>("argmax_cpu", "argmin_cpu"));
  if (!dim) {
    FL_CHECK_INDEX(
        self.size() != 0,
        name,
        "(): Expected reduction dim to be specified for input.numel() == 0.");
    mx::array at = where_extremum<kind>(mx::reshape(self, {-1}), 0);
    return mx::reshape(at, mx::Shape(keepdim ? self.ndim() : 0, 1));
  }
  int axis = axis_of(*dim, self);
  check_nonzero_size(self, axis, name);
  if (self.ndim() == 0) {
    return mx::zeros({}, mx::int64);
  }
  mx::array at = where_extremum<kind>(self, axis);
  return keepdim ? at : mx::squeeze(at, axis);
}

template <Kind kind>
mx::array
amax_kernel(const mx::array& self, const IntList& dims, bool keepdim) {
  std::string_view name = name_of<kind>("amax", "amin");
  check_orders(self, name_of<kind>("max_values_cpu", "min_values_cpu"));
  FL_CHECK(
      self.size() != 0 || !dims.empty(),
      name,
      "(): Expected reduction dim to be specified for input.numel() == 0. "
      "Specify the reduction dim with the 'dim' argument.");
  auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
  for (int axis : axes) {
    check_nonzero_size(self, axis, name);
  }
  return extremum<kind>(self, axes, keepdim);
}

template <Kind kind>
mx::array max_kernel(const mx::array& self) {
  std::string_view name = name_of<kind>("max", "min");
  check_orders(self, name_of<kind>("max_all", "min_all"));
  FL_CHECK(
      self.size() != 0,
      name,
      "(): Expected reduction dim to be specified for input.numel() == 0. "
      "Specify the reduction dim with the 'dim' argument.");
  return extremum<kind>(
      self, axes_of({}, static_cast<int64_t>(self.ndim())), false);
}

Tensor amax_grad(
    const Tensor& grad,
    const Tensor& self,
    const IntList& dims,
    bool keepdim,
    const Tensor& result) {
  return spread(grad, self, dims, keepdim, result);
}

Tensor max_grad(const Tensor& grad, const Tensor& self, const Tensor& result) {
  return spread(grad, self, std::nullopt, false, result);
}

// The larger of two: the gradient is shared where they are equal.
template <Kind kind>
mx::array larger(const mx::array& self, const mx::array& other) {
  FL_CHECK(
      !is_complex(from_mlx(self.dtype())),
      name_of<kind>("maximum", "minimum"),
      " not implemented for complex tensors.");
  return kind == Kind::Max ? mx::maximum(self, other)
                           : mx::minimum(self, other);
}

template <Kind kind>
Tensor larger_grad(const Tensor& grad, const Tensor& a, const Tensor& b) {
  mx::array x = a.value(), y = b.value();
  mx::array less = kind == Kind::Max ? mx::less(x, y) : mx::greater(x, y);
  mx::array share = mx::where(
      mx::equal(x, y),
      mx::array(0.5f),
      mx::where(less, mx::array(0.0f), mx::array(1.0f)));
  return grad * constant(mx::astype(share, to_mlx(grad.dtype())), grad);
}

} // namespace

void register_extrema() {
  op("max(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out(kExtremumOut)
      .node("MaxBackward1")
      .kernel(max_kernel<Kind::Max>)
      .grad("self", "self result", max_grad)
      .doc("The greatest element.");
  op("min(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out(kExtremumOut)
      .node("MinBackward1")
      .kernel(max_kernel<Kind::Min>)
      .grad("self", "self result", max_grad)
      .doc("The least element.");
  // Before .dim, which would take a tensor without dimensions as an int.
  op("max.other(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .promote()
      .elementwise()
      .node("MaximumBackward0")
      .kernel(larger<Kind::Max>)
      .grad("self", "self other", larger_grad<Kind::Max>)
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return larger_grad<Kind::Max>(grad, other, self);
          })
      .doc("The greater of two, element by element.");
  op("min.other(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .promote()
      .elementwise()
      .node("MinimumBackward0")
      .kernel(larger<Kind::Min>)
      .grad("self", "self other", larger_grad<Kind::Min>)
      .grad(
          "other",
          "self other",
          [](const Tensor& grad, const Tensor& self, const Tensor& other) {
            return larger_grad<Kind::Min>(grad, other, self);
          })
      .doc("The lesser of two, element by element.");
  op("max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, "
     "Tensor indices)")
      .forms("function method out")
      .exact_out()
      .kernel(extremum_dim<Kind::Max>)
      .grad("self", "self.shape dim keepdim indices", select_grad)
      .doc("The greatest elements over a dimension, and where they are.");
  op("min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, "
     "Tensor indices)")
      .forms("function method out")
      .exact_out()
      .kernel(extremum_dim<Kind::Min>)
      .grad("self", "self.shape dim keepdim indices", select_grad)
      .doc("The least elements over a dimension, and where they are.");
  op("amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out(
          "Expected the dtype for input and out to match, but got %R for "
          "input's dtype and %O for out's dtype.")
      .kernel(amax_kernel<Kind::Max>)
      .grad("self", "self dim keepdim result", amax_grad)
      .doc("The greatest elements over dimensions.");
  op("amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out(
          "Expected the dtype for input and out to match, but got %R for "
          "input's dtype and %O for out's dtype.")
      .kernel(amax_kernel<Kind::Min>)
      .grad("self", "self dim keepdim result", amax_grad)
      .doc("The least elements over dimensions.");
  op("aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor "
     "min, Tensor max)")
      .forms("function method out")
      .exact_out()
      .kernel([](const mx::array& self,
                 std::optional<int64_t> dim,
                 bool keepdim) {
        check_orders(self, dim ? "aminmax_cpu" : "aminmax_all_cpu");
        FL_CHECK(
            dim || self.size() != 0,
            "aminmax(): cannot compute aminmax over an empty dimension as the "
            "operation has no identity.");
        auto axes = axes_of(
            dim ? IntList{*dim} : IntList(), static_cast<int64_t>(self.ndim()));
        for (int axis : axes) {
          check_nonzero_size(self, axis, "aminmax", ":");
        }
        return std::tuple(
            extremum<Kind::Min>(self, axes, keepdim),
            extremum<Kind::Max>(self, axes, keepdim));
      })
      .grad(
          "self",
          "self dim keepdim min max",
          [](const TensorList& grads,
             const Tensor& self,
             std::optional<int64_t> dim,
             bool keepdim,
             const Tensor& min,
             const Tensor& max) {
            std::optional<IntList> dims;
            if (dim) {
              dims = IntList{*dim};
            }
            Tensor sum;
            for (size_t k : {0, 1}) {
              if (grads[k].defined()) {
                Tensor g =
                    spread(grads[k], self, dims, keepdim, k == 0 ? min : max);
                sum = sum.defined() ? sum + g : g;
              }
            }
            return TensorList{sum};
          })
      .doc("The least and the greatest elements.");
  op("argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out()
      .kernel(arg_extremum<Kind::Max>)
      .not_differentiable()
      .doc("Where the greatest element is.");
  op("argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor")
      .forms("function method out")
      .exact_out()
      .kernel(arg_extremum<Kind::Min>)
      .not_differentiable()
      .doc("Where the least element is.");
  op("value_selecting_reduction_backward(Tensor grad, int dim, Tensor "
     "indices, SymInt[] sizes, bool keepdim) -> Tensor")
      .forms("")
      .kernel([](const mx::array& grad,
                 int64_t dim,
                 const mx::array& indices,
                 const IntList& sizes,
                 bool keepdim) {
        mx::array zeros = mx::zeros(to_shape(sizes), grad.dtype());
        if (sizes.empty()) {
          return mx::reshape(grad, {});
        }
        int axis = axis_of(dim, zeros);
        if (zeros.size() == 0) {
          return zeros;
        }
        return mx::put_along_axis(
            zeros,
            keepdim ? indices : mx::expand_dims(indices, axis),
            keepdim ? grad : mx::expand_dims(grad, axis),
            axis);
      })
      .vjp()
      .doc("The gradient of picking elements along a dimension.");
}

} // namespace flashlight
