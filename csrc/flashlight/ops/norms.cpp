// Norms and distances.
#include <algorithm>
#include <cmath>

#include <mlx/ops.h>

#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/extrema.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/norms.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

using Dims = std::optional<IntList>;

constexpr double kInf = std::numeric_limits<double>::infinity();

void check_norm_dtype(
    Dtype d,
    std::optional<Dtype> dtype,
    std::string_view name) {
  FL_CHECK(
      is_floating(d) || is_complex(d),
      name,
      ": Expected a floating point or complex tensor as input. Got ",
      scalar_name(d));
  if (!dtype) {
    return;
  }
  FL_CHECK(
      is_floating(*dtype) || is_complex(*dtype),
      name,
      ": dtype should be floating point or complex, but got ",
      scalar_name(*dtype));
  FL_CHECK(
      is_complex(d) == is_complex(*dtype),
      name,
      ": dtype should be ",
      is_complex(d) ? "complex" : "real",
      " for ",
      is_complex(d) ? "complex" : "real",
      " inputs, but got ",
      scalar_name(*dtype));
  FL_CHECK(
      promote_types(d, *dtype) == *dtype,
      name,
      ": the dtype of the input (",
      scalar_name(d),
      ") should be convertible without narrowing to the specified dtype (",
      scalar_name(*dtype),
      ")");
}

mx::array pow_array(const mx::array& x, double p) {
  return mx::power(x, scalar_array(p, from_mlx(x.dtype())));
}

mx::array vector_norm_kernel(
    const mx::array& self,
    const Scalar& ord,
    const Dims& dims,
    bool keepdim,
    std::optional<Dtype> dtype) {
  check_norm_dtype(from_mlx(self.dtype()), dtype, "linalg.vector_norm");
  FL_CHECK(
      !ord.is_complex(),
      "linalg.vector_norm: Expected a non-complex scalar as "
      "the order of norm.");
  double p = ord.to_double();
  auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
  if (self.size() == 0 && (p < 0 || p == kInf)) {
    bool named = dims && !dims->empty();
    FL_CHECK(
        named,
        "linalg.vector_norm cannot compute the ",
        ord,
        " norm on an empty tensor because the operation does not have an "
        "identity");
    for (int axis : axes) {
      FL_CHECK(
          self.shape(axis) != 0,
          "linalg.vector_norm cannot compute the ",
          ord,
          " norm on the dimension ",
          axis,
          " because this dimension is empty and the operation does not have "
          "an identity");
    }
  }
  mx::array x =
      widened(mx::astype(self, to_mlx(dtype.value_or(from_mlx(self.dtype())))));
  mx::Dtype to = to_mlx(to_real(dtype.value_or(from_mlx(self.dtype()))));
  mx::array a = mx::abs(x);
  auto root = [&](const mx::array& y) {
    return p == 2 ? mx::sqrt(y) : pow_array(y, 1 / p);
  };
  mx::array y =
      p == kInf    ? mx::max(a, axes, keepdim)
      : p == -kInf ? mx::min(a, axes, keepdim)
      : p == 0     ? mx::sum(
                         mx::astype(
                             mx::not_equal(a, mx::array(0, a.dtype())), a.dtype()),
                         axes,
                         keepdim)
      : p == 1     ? mx::sum(a, axes, keepdim)
      : p == 2     ? root(mx::sum(mx::square(a), axes, keepdim))
                   : root(mx::sum(pow_array(a, p), axes, keepdim));
  return mx::astype(y, to);
}

// Of complex128: the norm of the absolute values.
Tensor norm_form(
    const Tensor& self,
    const Scalar& ord,
    const Dims& dims,
    bool keepdim,
    std::optional<Dtype> dtype) {
  check_norm_dtype(self.dtype(), dtype, "linalg.vector_norm");
  return linalg_vector_norm(abs(self), ord, dims, keepdim);
}

mx::array zero_mask(const mx::array& x) {
  return mx::equal(x, mx::array(0, x.dtype()));
}

// x with ones where `mask` is, so that it can be divided by.
mx::array filled(const mx::array& x, const mx::array& mask) {
  return mx::where(mask, mx::ones_like(x), x);
}

// The gradient of any p norm but 2. `norm` and `grad` have kept dimensions.
mx::array norm_backward_kernel(
    const mx::array& grad,
    const mx::array& self,
    const mx::array& norm,
    double p,
    const IntList& dims) {
  mx::array a = mx::abs(self);
  mx::array zero = mx::stop_gradient(zero_mask(a));
  mx::array safe = filled(a, zero);
  mx::array direction =
      self.dtype() == mx::complex64
          ? mx::multiply(
                mx::divide(self, mx::astype(safe, self.dtype())),
                mx::astype(mx::logical_not(zero), self.dtype()))
          : mx::sign(self);
  auto with = [&](const mx::array& factor) {
    return mx::multiply(direction, mx::astype(factor, self.dtype()));
  };
  if (p == 0) {
    return mx::zeros_like(self);
  }
  if (p == 1) {
    return with(grad);
  }
  if (std::isinf(p)) {
    mx::array hit = mx::equal(a, norm);
    hit = mx::logical_or(hit, mx::logical_and(mx::isnan(a), mx::isnan(norm)));
    hit = mx::stop_gradient(mx::astype(hit, norm.dtype()));
    auto axes = axes_of(dims, static_cast<int64_t>(self.ndim()));
    mx::array n = mx::sum(hit, axes, true);
    return with(mx::multiply(hit, mx::divide(grad, n)));
  }
  mx::array flat = mx::stop_gradient(zero_mask(norm));
  mx::array scale = mx::where(
      flat, mx::zeros_like(norm), pow_array(filled(norm, flat), 1 - p));
  mx::array rise = mx::where(zero, mx::zeros_like(a), pow_array(safe, p - 1));
  return with(mx::multiply(rise, mx::multiply(grad, scale)));
}

Tensor vector_norm_grad(
    const Tensor& grad,
    const Tensor& given,
    const Scalar& ord,
    const Dims& dims,
    bool keepdim,
    std::optional<Dtype> dtype,
    const Tensor& result) {
  Tensor self = dtype ? _to_copy(given, *dtype) : given;
  Tensor g = grad, norm = result;
  IntList all = wrap_dims(dims.value_or(IntList()), self.dim());
  if (!keepdim && self.dim() > 0) {
    std::sort(all.begin(), all.end());
    for (int64_t d : all) {
      g = unsqueeze(g, d);
      norm = unsqueeze(norm, d);
    }
  }
  double p = ord.to_double();
  if (p == 0) {
    return {};
  }
  if (p != 2) {
    return _norm_backward(g, self, norm, p, all);
  }
  mx::Dtype type = to_mlx(norm.dtype());
  mx::array zero = zero_mask(norm.value());
  Tensor keep = constant(mx::astype(mx::logical_not(zero), type), norm);
  Tensor fill = constant(mx::astype(zero, type), norm);
  return self * (g * keep / (norm + fill));
}

// A norm by PyTorch's older names: integers are refused, no p is 2.
Tensor old_norm(
    const Tensor& self,
    const std::optional<Scalar>& p,
    const IntList& dims,
    bool keepdim) {
  return linalg_vector_norm(self, p.value_or(Scalar(2)), dims, keepdim);
}

void check_matrix(const Tensor& self, const IntList& dim) {
  constexpr std::string_view name = "linalg.matrix_norm";
  FL_CHECK(
      self.dim() >= 2,
      name,
      ": The input tensor A must have at least 2 dimensions.");
  FL_CHECK(dim.size() == 2, name, ": dim must be a 2-tuple. Got ", [&] {
    std::ostringstream out;
    for (size_t i = 0; i < dim.size(); ++i) {
      out << (i ? " " : "") << dim[i];
    }
    return out.str();
  }());
  FL_CHECK(
      wrap_dim(dim[0], self.dim()) != wrap_dim(dim[1], self.dim()),
      name,
      ": dims must be different. Got (",
      dim[0],
      ", ",
      dim[1],
      ")");
}

// The matrices' dimensions last, for singular values.
// The 2-norm (or another) of all dimensions but one; of all if dim is -1.
Tensor norm_except(const Tensor& v, int64_t pow, int64_t dim) {
  Scalar p(pow);
  if (dim == -1) {
    return norm(v, p);
  }
  IntList sizes(static_cast<size_t>(v.dim()), int64_t{1});
  if (dim == 0) {
    sizes.front() = v.size(0);
    Tensor rows = reshape(v, {v.size(0), -1});
    return view(norm(rows, p, IntList{1}), sizes);
  }
  if (dim == v.dim() - 1) {
    sizes.back() = v.size(-1);
    Tensor columns = reshape(v, {-1, v.size(-1)});
    return view(norm(columns, p, IntList{0}), sizes);
  }
  return transpose(norm_except(transpose(v, 0, dim), pow, 0), 0, dim);
}

Tensor matrices_last(const Tensor& self, const IntList& dim) {
  IntList order;
  int64_t a = wrap_dim(dim[0], self.dim()), b = wrap_dim(dim[1], self.dim());
  for (int64_t d = 0; d < self.dim(); ++d) {
    if (d != a && d != b) {
      order.push_back(d);
    }
  }
  order.push_back(a);
  order.push_back(b);
  return permute(self, order);
}

// By name: the decompositions are another file's.
Tensor svdvals_of(const Tensor& x) {
  static const Op& row = get_op("linalg_svdvals");
  return invoke<Tensor>(row, x, std::optional<std::string>());
}

Tensor
put_back(Tensor x, const Tensor& self, const IntList& dim, bool keepdim) {
  if (keepdim) {
    int64_t a = wrap_dim(dim[0], self.dim()), b = wrap_dim(dim[1], self.dim());
    x = unsqueeze(unsqueeze(x, std::min(a, b)), std::max(a, b));
  }
  return x;
}

// The extremum over a dimension; the greatest of no norms is zero.
Tensor extremum_of(const Tensor& x, int64_t dim, bool greatest, bool keepdim) {
  IntList dims{dim};
  return !greatest          ? amin(x, dims, keepdim)
         : x.size(dim) == 0 ? sum(x, dims, keepdim)
                            : amax(x, dims, keepdim);
}

Tensor matrix_norm_number(
    const Tensor& given,
    const Scalar& ord,
    const IntList& dim,
    bool keepdim,
    std::optional<Dtype> dtype) {
  check_matrix(given, dim);
  double p = ord.to_double(), magnitude = std::abs(p);
  FL_CHECK(
      magnitude == 2 || magnitude == 1 || magnitude == kInf,
      "linalg.matrix_norm: Order ",
      ord,
      " not supported.");
  check_norm_dtype(given.dtype(), dtype, "linalg.matrix_norm");
  Tensor self = dtype ? _to_copy(given, *dtype) : given;
  if (magnitude == 2) {
    Tensor s = svdvals_of(matrices_last(self, dim));
    return put_back(extremum_of(s, -1, p > 0, false), self, dim, keepdim);
  }
  int64_t a = wrap_dim(dim[0], self.dim()), b = wrap_dim(dim[1], self.dim());
  if (magnitude == kInf) {
    std::swap(a, b);
  }
  if (!keepdim && a < b) {
    --b; // the first reduction drops a
  }
  Tensor sums = linalg_vector_norm(self, Scalar(1), IntList{a}, keepdim);
  return extremum_of(sums, b, p > 0, keepdim);
}

Tensor matrix_norm_name(
    const Tensor& given,
    const std::string& ord,
    const IntList& dim,
    bool keepdim,
    std::optional<Dtype> dtype) {
  check_matrix(given, dim);
  FL_CHECK(
      ord == "fro" || ord == "nuc",
      "linalg.matrix_norm: Order ",
      ord,
      " not supported.");
  check_norm_dtype(given.dtype(), dtype, "linalg.matrix_norm");
  if (ord == "fro") {
    return linalg_vector_norm(given, Scalar(2), dim, keepdim, dtype);
  }
  Tensor self = dtype ? _to_copy(given, *dtype) : given;
  return put_back(
      sum(svdvals_of(matrices_last(self, dim)), IntList{-1}),
      self,
      dim,
      keepdim);
}

// The dimensions that a matrix norm is over, if it is one.
IntList matrix_dims(const Dims& dim) {
  return dim.value_or(IntList{0, 1});
}

void check_ord_dims(const Tensor& self, const Dims& dim) {
  FL_CHECK(
      !dim || dim->size() == 1 || dim->size() == 2,
      "linalg.norm: If dim is specified, it must be of length 1 or 2. Got ",
      dim ? *dim : IntList());
  FL_CHECK(
      dim || self.dim() == 1 || self.dim() == 2,
      "linalg.norm: If dim is not specified but ord is, the input must be 1D "
      "or 2D. Got ",
      self.dim(),
      "D.");
}

// --- distances ---------------------------------------------------------------

Tensor pairwise(const Tensor& x1, const Tensor& x2) {
  return unsqueeze(x1, -2) - unsqueeze(x2, -3);
}

mx::array euclidean(const mx::array& x1, const mx::array& x2) {
  auto squares = [](const mx::array& x) {
    return mx::sum(mx::square(x), -1, true);
  };
  mx::array product = mx::matmul(x1, mx::swapaxes(x2, -1, -2));
  mx::array d = mx::subtract(
      mx::add(squares(x1), mx::swapaxes(squares(x2), -1, -2)),
      mx::multiply(mx::array(2, x1.dtype()), product));
  return mx::sqrt(mx::maximum(d, mx::array(0, d.dtype())));
}

// grad / dist, zero where the distance is.
Tensor slopes(const Tensor& grad, const Tensor& dist) {
  mx::Dtype type = to_mlx(dist.dtype());
  mx::array zero = zero_mask(dist.value());
  Tensor keep = constant(mx::astype(mx::logical_not(zero), type), dist);
  return grad * keep / (dist + constant(mx::astype(zero, type), dist));
}

Tensor cdist_forward(
    const Tensor& x1,
    const Tensor& x2,
    double p,
    std::optional<int64_t> mode) {
  FL_CHECK(
      x1.dim() >= 2,
      "cdist only supports at least 2D tensors, X1 got: ",
      x1.dim(),
      "D");
  FL_CHECK(
      x2.dim() >= 2,
      "cdist only supports at least 2D tensors, X2 got: ",
      x2.dim(),
      "D");
  FL_CHECK(
      x1.size(-1) == x2.size(-1),
      "X1 and X2 must have the same number of columns. X1: ",
      x1.size(-1),
      " X2: ",
      x2.size(-1));
  for (const Tensor* x : {&x1, &x2}) {
    FL_CHECK(
        x->is_floating_point(),
        "cdist only supports floating-point dtypes, X",
        x == &x1 ? 1 : 2,
        " got: ",
        scalar_name(x->dtype()));
    if (x->dtype() == Dtype::Float16 || x->dtype() == Dtype::BFloat16) {
      not_implemented("cdist", x->dtype());
    }
  }
  FL_CHECK(p >= 0, "cdist only supports non-negative p values");
  int64_t how = mode.value_or(0);
  FL_CHECK(how >= 0 && how <= 2, "possible modes: 0, 1, 2, but was: ", how);
  if (p == 0) {
    // The gradient of cdist is zeros there, that of a norm is none.
    mx::array d = pairwise(detach(x1), detach(x2)).value();
    mx::array one = mx::array(1, d.dtype());
    mx::array apart = mx::minimum(mx::ceil(mx::abs(d)), one);
    return _tied(_tied(constant(mx::sum(apart, -1), x1), x1), x2);
  }
  bool big = x1.size(-2) > 25 || x2.size(-2) > 25;
  return p == 2 && (how == 1 || (how == 0 && big))
             ? _euclidean_dist(x1, x2)
             : linalg_vector_norm(pairwise(x1, x2), Scalar(p), IntList{-1});
}

} // namespace

void register_norms() {
  op("linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool "
     "keepdim=False, *, ScalarType? dtype=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .kernel(vector_norm_kernel)
      .complex128(formula(norm_form))
      .grad("self", "self ord dim keepdim dtype result", vector_norm_grad)
      .doc("The p norm over dimensions.");
  op("_norm_backward(Tensor grad, Tensor self, Tensor norm, float p, int[] "
     "dim) -> Tensor")
      .forms("")
      .kernel(norm_backward_kernel)
      .complex128(formula([](const Tensor& grad,
                             const Tensor& self,
                             const Tensor& norm,
                             double p,
                             const IntList& dims) {
        return _norm_backward(grad, abs(self), norm, p, dims) * sgn(self);
      }))
      .vjp()
      .doc("The gradient of a p norm.");
  // torch.norm itself is Python; these are for C++ and torch.ops.
  op("norm_except_dim(Tensor v, int pow=2, int dim=0) -> Tensor")
      .forms("function")
      .composite(norm_except)
      .doc("The norms of slices along a dimension, which stays.");
  op("_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor")
      .forms("function")
      .composite([](const Tensor& v, const Tensor& g, int64_t dim) {
        return v * (g / norm_except(v, 2, dim));
      })
      .doc("Slices of `v`, scaled to the norms `g`.");
  op("norm.Scalar(Tensor self, Scalar p=2) -> Tensor")
      .forms("")
      .composite([](const Tensor& self, const Scalar& p) {
        return old_norm(self, p, {}, false);
      })
      .doc("The p norm of all elements.");
  op("norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool "
     "keepdim=False) -> Tensor")
      .forms("")
      .composite([](const Tensor& self,
                    const std::optional<Scalar>& p,
                    const IntList& dim,
                    bool keepdim) { return old_norm(self, p, dim, keepdim); })
      .doc("The p norm over dimensions.");
  op("linalg_matrix_norm(Tensor self, Scalar ord, int[] dim=[-2,-1], bool "
     "keepdim=False, *, ScalarType? dtype=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("linalg.matrix_norm expected out tensor dtype %R but got: %O")
      .composite(matrix_norm_number)
      .doc("A norm of matrices.");
  op("linalg_matrix_norm.str_ord(Tensor self, str ord='fro', int[] "
     "dim=[-2,-1], bool keepdim=False, *, ScalarType? dtype=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("linalg.matrix_norm expected out tensor dtype %R but got: %O")
      .composite(matrix_norm_name)
      .doc("A norm of matrices, by its name.");
  op("linalg_norm(Tensor self, Scalar? ord=None, int[1]? dim=None, bool "
     "keepdim=False, *, ScalarType? dtype=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("linalg.norm expected out tensor dtype %R but got: %O")
      .composite([](const Tensor& self,
                    const std::optional<Scalar>& ord,
                    const Dims& dim,
                    bool keepdim,
                    std::optional<Dtype> dtype) {
        if (ord) {
          check_ord_dims(self, dim);
          if (dim ? dim->size() == 2 : self.dim() == 2) {
            return linalg_matrix_norm(
                self, *ord, matrix_dims(dim), keepdim, dtype);
          }
        }
        return linalg_vector_norm(
            self, ord.value_or(Scalar(2)), dim, keepdim, dtype);
      })
      .doc("A norm of vectors or matrices.");
  op("linalg_norm.ord_str(Tensor self, str ord, int[1]? dim=None, bool "
     "keepdim=False, *, ScalarType? dtype=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("linalg.norm expected out tensor dtype %R but got: %O")
      .composite([](const Tensor& self,
                    const std::string& ord,
                    const Dims& dim,
                    bool keepdim,
                    std::optional<Dtype> dtype) {
        check_ord_dims(self, dim);
        return linalg_matrix_norm(self, ord, matrix_dims(dim), keepdim, dtype);
      })
      .doc("A norm of matrices, by its name.");
  op("dist(Tensor self, Tensor other, Scalar p=2) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self, const Tensor& other, const Scalar& p) {
        return linalg_vector_norm(self - other, p);
      })
      .doc("The p norm of a difference.");
  op("renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .composite([](const Tensor& self,
                    const Scalar& p,
                    int64_t dim,
                    const Scalar& maxnorm) {
        FL_CHECK(!p.is_complex(), "renorm: p must be real-valued");
        FL_CHECK(p.to_double() > 0, "renorm: non-positive-norm not supported");
        FL_CHECK(!maxnorm.is_complex(), "renorm: maxnorm must be real-valued");
        FL_CHECK(
            maxnorm.to_double() >= 0,
            "renorm: expected maxnorm to be >= 0 but got ",
            maxnorm);
        FL_CHECK(
            self.dim() > 1,
            "renorm: input needs at least 2 dimensions, got ",
            self.dim(),
            " dimensions");
        int64_t kept = wrap_dim(dim, self.dim());
        IntList dims;
        for (int64_t d = 0; d < self.dim(); ++d) {
          if (d != kept) {
            dims.push_back(d);
          }
        }
        bool narrow = itemsize(self.dtype()) == 2;
        Tensor norm = linalg_vector_norm(
            self,
            p,
            dims,
            true,
            narrow ? std::optional(Dtype::Float32) : std::nullopt);
        norm = nansum(unsqueeze(norm, -1), IntList{-1}); // NaN scales nothing
        mx::Dtype type = to_mlx(norm.dtype());
        mx::array over = mx::greater(
            norm.value(), scalar_array(maxnorm.to_double(), norm.dtype()));
        Tensor shrink = constant(mx::astype(over, type), norm);
        Tensor keep = constant(mx::astype(mx::logical_not(over), type), norm);
        Tensor factor =
            shrink * (Scalar(maxnorm.to_double()) / (norm + Scalar(1e-7))) +
            keep;
        return self * _to_copy(factor, to_real(self.dtype()));
      })
      .doc("Slices scaled down to a norm of maxnorm at most.");
  op("cdist(Tensor x1, Tensor x2, float p=2, int? compute_mode=None) -> "
     "Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite(cdist_forward)
      .doc("Distances between all pairs of rows.");
  op("_tied(Tensor value, Tensor self) -> Tensor")
      .forms("")
      .kernel([](const mx::array& value, const mx::array&) { return value; })
      .complex128(formula(
          [](const Tensor& value, const Tensor&) { return clone(value); }))
      .grad("value", "", [](const Tensor& grad) { return grad; })
      .grad(
          "self",
          "self",
          [](const Tensor&, const Tensor& self) { return zeros_like(self); })
      .doc("`value`, as a function of `self` whose gradient is zeros.");
  op("_euclidean_dist(Tensor x1, Tensor x2) -> Tensor")
      .forms("")
      .node("CdistBackward0")
      .kernel(euclidean)
      .grad(
          "x1",
          "x1 x2 result",
          [](const Tensor& grad,
             const Tensor& x1,
             const Tensor& x2,
             const Tensor& result) {
            Tensor s = slopes(grad, result);
            return x1 * sum(s, IntList{-1}, true) - matmul(s, x2);
          })
      .grad(
          "x2",
          "x1 x2 result",
          [](const Tensor& grad,
             const Tensor& x1,
             const Tensor& x2,
             const Tensor& result) {
            Tensor s = transpose(slopes(grad, result), -1, -2);
            return x2 * sum(s, IntList{-1}, true) - matmul(s, x1);
          })
      .doc("Euclidean distances between all pairs of rows, by one product.");
}

} // namespace flashlight
