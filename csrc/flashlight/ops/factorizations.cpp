// Matrix exponentials, and what is made of triangular factors.
#include <algorithm>
#include <cmath>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/decompositions.h"
#include "flashlight/ops/functions/factorizations.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/linalg.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// a = a b, all n x n.
template <typename T>
void multiply(std::vector<T>& a, const std::vector<T>& b, int64_t n) {
  std::vector<T> out(a.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < n; ++k) {
      T factor = a[static_cast<size_t>(i * n + k)];
      for (int64_t j = 0; j < n; ++j) {
        out[static_cast<size_t>(i * n + j)] +=
            factor * b[static_cast<size_t>(k * n + j)];
      }
    }
  }
  a = std::move(out);
}

// Taylor's series of the matrix scaled down, then squared back up; beyond
// `limit`, the dtype's, is infinity.
template <typename T>
std::vector<T> exponential(std::vector<T> a, int64_t n, double limit) {
  double norm = 0;
  for (int64_t i = 0; i < n; ++i) {
    double row = 0;
    for (int64_t j = 0; j < n; ++j) {
      row += std::abs(a[static_cast<size_t>(i * n + j)]);
    }
    norm = std::isnan(row) ? row : std::max(norm, row);
  }
  int squarings = 0;
  if (std::isfinite(norm) && norm > 0.5) {
    squarings = static_cast<int>(std::ceil(std::log2(norm / 0.5)));
    for (T& x : a) {
      x *= std::ldexp(1.0, -squarings);
    }
  }
  std::vector<T> sum(a.size(), T(0));
  for (int64_t i = 0; i < n; ++i) {
    sum[static_cast<size_t>(i * n + i)] = T(1);
  }
  std::vector<T> term = sum;
  for (int k = 1; k <= 16; ++k) {
    multiply(term, a, n);
    for (size_t i = 0; i < sum.size(); ++i) {
      term[i] *= 1.0 / k;
      sum[i] += term[i];
    }
  }
  for (int k = 0; k < squarings; ++k) {
    multiply(sum, std::vector<T>(sum), n);
    for (T& x : sum) {
      x = std::abs(x) > limit ? x * std::numeric_limits<double>::infinity() : x;
    }
  }
  return sum;
}

mx::array exponential_kernel(const mx::array& a) {
  FL_CHECK(
      a.ndim() >= 2,
      "linalg.matrix_exp: The input tensor A must have at least 2 dimensions.");
  FL_CHECK(
      a.shape(-1) == a.shape(-2),
      "linalg.matrix_exp: A must be batches of square matrices, but they are ",
      a.shape(-2),
      " by ",
      a.shape(-1),
      " matrices");
  Dtype d = from_mlx(a.dtype());
  FL_CHECK(
      is_floating(d) || is_complex(d),
      "linalg.matrix_exp: Expected a floating point or complex tensor as "
      "input. Got ",
      scalar_name(d));
  if (a.size() == 0) {
    return a;
  }
  mx::array x = widened(a);
  return in_double(x, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> all = load<T>(x);
    int64_t n = a.shape(-1);
    auto size = static_cast<size_t>(n * n);
    for (size_t at = 0; at < all.size(); at += size) {
      auto from = all.begin() + static_cast<std::ptrdiff_t>(at);
      std::vector<T> one = exponential(
          std::vector<T>(from, from + static_cast<std::ptrdiff_t>(size)),
          n,
          mx::finfo(x.dtype()).max);
      std::copy(one.begin(), one.end(), from);
    }
    return mx::astype(store(all, a.shape(), x.dtype()), a.dtype());
  });
}

// The upper right block of the exponential of [[A^H, grad], [0, A^H]].
Tensor exponential_grad(const Tensor& grad, const Tensor& self) {
  if (self.numel() == 0) {
    return grad;
  }
  int64_t n = self.size(-1);
  Tensor a = mH(self);
  Tensor top = cat({a, grad}, -1);
  Tensor bottom = cat({zeros_like(a), a}, -1);
  Tensor whole = linalg_matrix_exp(cat({top, bottom}, -2));
  return slice(slice(whole, -2, 0, n), -1, n, 2 * n);
}

void check_factor(const Tensor& a, std::string_view name) {
  FL_CHECK(
      a.dim() >= 2,
      name,
      ": The input tensor A must have at least 2 dimensions.");
  FL_CHECK(
      a.size(-1) == a.size(-2),
      name,
      ": A must be batches of square matrices, but they are ",
      a.size(-2),
      " by ",
      a.size(-1),
      " matrices");
}

void check_right_side(const Tensor& b, const Tensor& a, std::string_view name) {
  FL_CHECK(
      b.dim() >= 2,
      "b should have at least 2 dimensions, but has ",
      b.dim(),
      " dimensions instead");
  FL_CHECK(
      a.dim() >= 2,
      name == "triangular_solve" ? "A" : "u",
      " should have at least 2 dimensions, but has ",
      a.dim(),
      " dimensions instead");
  FL_CHECK(
      a.size(-1) == a.size(-2),
      "A must be batches of square matrices, but they are ",
      a.size(-2),
      " by ",
      a.size(-1),
      " matrices");
  FL_CHECK(
      a.size(-2) == b.size(-2),
      "Incompatible matrix sizes for ",
      name,
      ": each A matrix is ",
      a.size(-1),
      " by ",
      a.size(-1),
      " but each b matrix is ",
      b.size(-2),
      " by ",
      b.size(-1));
}

// The gradient of a factor, from that of the matrix, made Hermitian.
Tensor factor_grad(const Tensor& both, const Tensor& factor, bool upper) {
  return -(upper ? matmul(factor, both) : matmul(both, factor));
}

// X of L L^H X = B.
Tensor cholesky_solution(const Tensor& b, const Tensor& factor, bool upper) {
  Tensor lower = upper ? mH(factor) : factor;
  Tensor half = linalg_solve_triangular(lower, b, false);
  return linalg_solve_triangular(mH(lower), half, true);
}

} // namespace

void register_factorizations() {
  op("linalg_matrix_exp(Tensor self) -> Tensor")
      .module("linalg")
      .forms("function")
      .kernel(exponential_kernel)
      .grad("self", "self", exponential_grad)
      .doc("The exponentials of matrices.");
  alias_op(
      "matrix_exp(Tensor self) -> Tensor",
      "linalg_matrix_exp",
      "function method");
  op("cholesky_solve(Tensor self, Tensor input2, bool upper=False) -> Tensor")
      .forms("function method out")
      .exact_out("%ccholesky_solve")
      .kernel([](const Tensor& self, const Tensor& input2, bool upper) {
        NoGrad guard;
        check_right_side(self, input2, "cholesky_solve");
        return cholesky_solution(self, input2, upper);
      })
      .grad(
          "self",
          "input2 upper",
          [](const Tensor& grad, const Tensor& input2, bool upper) {
            return cholesky_solve(grad, input2, upper);
          })
      .grad(
          "input2",
          "input2 result upper",
          [](const Tensor& grad,
             const Tensor& input2,
             const Tensor& result,
             bool upper) {
            Tensor right = cholesky_solve(grad, input2, upper);
            Tensor half = matmul(right, mH(result));
            return factor_grad(half + mH(half), input2, upper);
          })
      .doc("X of A X = self, A given by its Cholesky factor.");
  op("cholesky_inverse(Tensor self, bool upper=False) -> Tensor")
      .forms("function method out")
      .exact_out("%ccholesky_inverse")
      .kernel([](const Tensor& self, bool upper) {
        NoGrad guard;
        check_factor(self, "cholesky_inverse");
        mx::array unit =
            mx::eye(static_cast<int>(self.size(-1)), to_mlx(self.dtype()));
        return cholesky_solution(
            expand(constant(unit, self), self.sizes()), self, upper);
      })
      .grad(
          "self",
          "self result upper",
          [](const Tensor& grad,
             const Tensor& self,
             const Tensor& result,
             bool upper) {
            Tensor both = matmul(matmul(result, grad + mH(grad)), result);
            return factor_grad(both, self, upper);
          })
      .doc("The inverse of A, given by its Cholesky factor.");
  op("triangular_solve(Tensor self, Tensor A, bool upper=True, bool "
     "transpose=False, bool unitriangular=False) -> (Tensor solution, Tensor "
     "cloned_coefficient)")
      .forms("function method")
      .composite([](const Tensor& self,
                    const Tensor& a,
                    bool upper,
                    bool transposed,
                    bool unitriangular) {
        check_right_side(self, a, "triangular_solve");
        Tensor x = linalg_solve_triangular(
            transposed ? mT(a) : a,
            self,
            upper != transposed,
            true,
            unitriangular);
        return std::tuple(x, clone(a));
      })
      .doc("X of A X = self, A triangular.");
  op("qr(Tensor self, bool some=True) -> (Tensor Q, Tensor R)")
      .forms("function method out")
      .exact_out()
      .composite([](const Tensor& self, bool some) {
        return linalg_qr(self, some ? "reduced" : "complete");
      })
      .doc("Orthogonal and triangular factors.");
  op("svd(Tensor self, bool some=True, bool compute_uv=True) -> (Tensor U, "
     "Tensor S, Tensor V)")
      .forms("function method out")
      .exact_out()
      .composite([](const Tensor& self, bool some, bool compute_uv) {
        FL_CHECK(
            self.dim() >= 2,
            "linalg.svd: input should have at least 2 dimensions, but has ",
            self.dim(),
            " dimensions instead");
        if (compute_uv) {
          auto [u, s, vh] = linalg_svd(self, !some);
          return std::tuple(u, s, mH(vh));
        }
        auto square = [&](int64_t n) {
          IntList sizes = self.sizes();
          sizes[sizes.size() - 2] = sizes[sizes.size() - 1] = n;
          return zeros(sizes, self.dtype());
        };
        return std::tuple(
            square(self.size(-2)), linalg_svdvals(self), square(self.size(-1)));
      })
      .doc("Singular values and vectors: U diag(S) V^H.");
}

} // namespace flashlight
