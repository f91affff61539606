// Inverses, solutions and determinants.
#include <algorithm>

#include <mlx/linalg.h>
#include <mlx/ops.h>

#include "flashlight/kernels/dense.h"
#include "flashlight/ops/batches.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/decompositions.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/linalg.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// For each matrix of a batch, which of those that broadcast to it.
std::vector<size_t> sources(const mx::Shape& given, const mx::Shape& batch) {
  auto count = static_cast<int>(product_of(given, given.size()));
  mx::array at = mx::broadcast_to(
      mx::reshape(mx::arange(0, count, mx::int32), given), batch);
  std::vector<int> found = load_ints(at);
  return std::vector<size_t>(found.begin(), found.end());
}

// A^-1 B, of batches that broadcast, and error codes of A's.
std::tuple<mx::array, mx::array> solved(
    const mx::array& left,
    const mx::array& right) {
  mx::Shape batch_a = batch_shape(left), batch_b = batch_shape(right);
  mx::Shape batch =
      to_shape(broadcast_sizes(to_int_list(batch_a), to_int_list(batch_b)));
  return in_double(left, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(left), b = load_batch<T>(right);
    int n = a.rows;
    std::vector<int> info(a.count);
    Batch<int> pivots(a.count, n, 1);
    for (size_t k = 0; k < a.count && n; ++k) {
      info[k] = factor_lu(n, n, a.at(k), pivots.at(k));
    }
    Batch<T> x(product_of(batch, batch.size()), b.rows, b.columns);
    if (!x.data.empty()) {
      std::vector<size_t> from_a = sources(batch_a, batch);
      std::vector<size_t> from_b = sources(batch_b, batch);
      for (size_t k = 0; k < x.count; ++k) {
        std::copy_n(b.at(from_b[k]), b.each(), x.at(k));
        const T* factor = a.at(from_a[k]);
        const int* swaps = pivots.at(from_a[k]);
        if (all_finite(factor, a.each()) && all_finite(x.at(k), x.each())) {
          lapack::getrs(n, b.columns, factor, swaps, x.at(k));
        } else {
          dense::solve(n, b.columns, factor, swaps, x.at(k));
        }
      }
    }
    return std::tuple(
        store_batch(x, batch, right.dtype()), store_ints(info, batch_a));
  });
}

std::tuple<mx::array, mx::array> inverse_kernel(const mx::array& a) {
  check_square(a, "linalg.inv");
  return solved(a, mx::eye(a.shape(-1), a.dtype()));
}

void check_inverse(const Tensor& info, std::string_view name) {
  check_info(info, name, [](int code) {
    return detail::concat(
        "The diagonal element ",
        code,
        " is zero, the inversion could not be completed because the input "
        "matrix is singular.");
  });
}

void check_solution(const Tensor& info, std::string_view name) {
  check_info(info, name, [](int) {
    return "The solver failed because the input matrix is singular.";
  });
}

std::tuple<mx::array, mx::array>
solve_kernel(const Tensor& a, const Tensor& b, bool left) {
  FL_CHECK(
      a.dtype() == b.dtype(),
      "linalg.solve: Expected A and B to have the same dtype, but found A of "
      "type ",
      scalar_name(a.dtype()),
      " and B of type ",
      scalar_name(b.dtype()),
      " instead");
  mx::array x = a.value(), y = b.value();
  check_square(x, "linalg.solve");
  auto size = [&](int d) {
    return y.ndim() >= 2 ? y.shape(d) : d == -1 ? 1 : y.shape(-1);
  };
  FL_CHECK(
      y.ndim() >= 2 && y.shape(left ? -2 : -1) == x.shape(-1),
      "linalg.solve: Incompatible shapes of A and B for the equation ",
      left ? "AX = B" : "XA = B",
      " (",
      x.shape(-2),
      "x",
      x.shape(-1),
      " and ",
      size(-2),
      "x",
      size(-1),
      ")");
  if (left) {
    return solved(x, y);
  }
  auto [t, info] = solved(mx::swapaxes(x, -1, -2), mx::swapaxes(y, -1, -2));
  return {mx::swapaxes(t, -1, -2), info};
}

// X of A X = B (or X A = B), and error codes.
std::tuple<Tensor, Tensor>
solve_of(const Tensor& a, const Tensor& b, bool left) {
  FL_CHECK(
      a.dim() >= 2,
      "linalg.solve: The input tensor A must have at least 2 dimensions.");
  // A batch of vectors, as PyTorch tells them from matrices.
  IntList batch(a.sizes().begin(), a.sizes().end() - 1);
  bool vector = b.dim() == 1 || (a.dim() - 1 == b.dim() && b.sizes() == batch);
  FL_CHECK(
      left || !vector,
      "linalg.solve: Vector broadcasting of the left hand side is not "
      "supported for left=False");
  if (vector) {
    auto [x, info] = _linalg_solve(a, unsqueeze(b, -1), true);
    return {squeeze(x, -1), info};
  }
  return _linalg_solve(a, b, left);
}

// The sign (or phase) of determinants and the logarithm of their size.
std::tuple<mx::array, mx::array, mx::array> determinants(
    const mx::array& a,
    std::string_view name) {
  check_square(a, name);
  return in_double(a, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> x = load_batch<T>(a);
    int n = x.rows;
    std::vector<T> det(x.count, T(1)), sign(x.count, T(1));
    std::vector<double> log(x.count, 0);
    std::vector<int> pivots(static_cast<size_t>(n));
    for (size_t k = 0; k < x.count && n; ++k) {
      factor_lu(n, n, x.at(k), pivots.data());
      for (int i = 0; i < n; ++i) {
        bool swapped = pivots[static_cast<size_t>(i)] != i + 1;
        T d = x.at(k)[static_cast<std::ptrdiff_t>(i) * n + i];
        d = swapped ? -d : d;
        double size = std::abs(d);
        det[k] *= d;
        if constexpr (std::is_same_v<T, double>) {
          sign[k] *= (d > 0) - (d < 0);
        } else {
          sign[k] *= size > 0 ? d / size : T(0);
        }
        log[k] += std::log(size);
      }
    }
    mx::Dtype real = to_mlx(to_real(from_mlx(a.dtype())));
    mx::Shape shape = batch_shape(a);
    return std::tuple(
        store(det, shape, a.dtype()),
        store(sign, shape, a.dtype()),
        store(log, shape, real));
  });
}

mx::array triangular_kernel(
    const mx::array& a,
    const mx::array& b,
    bool upper,
    bool unit) {
  return in_double(a, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> left = load<T>(a), right = load<T>(b);
    int64_t n = a.shape(-1), m = b.shape(-1);
    size_t count = n && m ? right.size() / static_cast<size_t>(n * m) : 0;
    for (size_t k = 0; k < count; ++k) {
      dense::solve_triangular(
          left.data() + k * static_cast<size_t>(n * n),
          right.data() + k * static_cast<size_t>(n * m),
          n,
          m,
          upper,
          unit);
    }
    return store(right, b.shape(), a.dtype());
  });
}

// Both with the batch that they broadcast to.
std::pair<Tensor, Tensor> same_batch(const Tensor& a, const Tensor& b) {
  IntList sa = a.sizes(), sb = b.sizes();
  IntList batch = broadcast_sizes(
      IntList(sa.begin(), sa.end() - 2), IntList(sb.begin(), sb.end() - 2));
  auto widened_to = [&](const Tensor& t) {
    IntList sizes = batch;
    sizes.push_back(t.size(-2));
    sizes.push_back(t.size(-1));
    return expand(t, sizes);
  };
  return {widened_to(a), widened_to(b)};
}

Tensor solve_triangular_of(
    const Tensor& a,
    const Tensor& b,
    bool upper,
    bool left,
    bool unit) {
  constexpr std::string_view name = "linalg.solve_triangular";
  FL_CHECK(
      a.dtype() == b.dtype(),
      name,
      ": Expected A and B to have the same dtype, but found A of type ",
      scalar_name(a.dtype()),
      " and B of type ",
      scalar_name(b.dtype()),
      " instead");
  check_square(a, name);
  FL_CHECK(
      b.dim() >= 2,
      name,
      ": The input tensor B must have at least 2 dimensions.");
  FL_CHECK(
      left ? a.size(-2) == b.size(-2) : a.size(-1) == b.size(-1),
      name,
      ": Incompatible shapes of A and B for the equation ",
      left ? "AX = B" : "XA = B",
      " (",
      a.size(-2),
      "x",
      a.size(-1),
      " and ",
      b.size(-2),
      "x",
      b.size(-1),
      ")");
  auto [x, y] = same_batch(a, b);
  return left ? _solve_triangular(x, y, upper, unit)
              : mT(_solve_triangular(mT(x), mT(y), !upper, unit));
}

// The adjugate's part of a determinant's gradient, by singular values where a
// matrix has no inverse.
Tensor det_grad(const Tensor& grad, const Tensor& a, const Tensor& result) {
  Tensor scale = unsqueeze(unsqueeze(grad * conj(result), -1), -1);
  try {
    return scale * mH(linalg_inv(a));
  } catch (const LinAlgError&) {
    auto [u, s, vh] = linalg_svd(a, false);
    Tensor sign = linalg_det(u) * linalg_det(vh);
    Tensor others = _prod_backward(ones_like(slice(s, -1, 0, 1)), s, -1);
    Tensor g = unsqueeze(unsqueeze(grad * conj(sign), -1), -1);
    return g * matmul(u * unsqueeze(others, -2), vh);
  }
}

} // namespace

void register_linalg() {
  op("linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, "
     "Tensor info)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .node("LinalgInvExBackward0")
      .kernel([](const mx::array& a, bool check_errors) {
        auto [inverse, info] = inverse_kernel(a);
        if (check_errors) {
          check_inverse(Tensor(info), "linalg.inv_ex");
        }
        return std::tuple(inverse, info);
      })
      .grad(
          "A",
          "inverse",
          [](const TensorList& grads, const Tensor& inverse) {
            Tensor h = mH(inverse);
            return TensorList{-matmul(h, matmul(grads[0], h))};
          })
      .doc("The inverses of square matrices, and error codes.");
  op("linalg_inv(Tensor A) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& a) {
        auto [inverse, info] = linalg_inv_ex(a);
        check_inverse(info, "linalg.inv");
        return inverse;
      })
      .doc("The inverses of square matrices.");
  op("inverse(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out()
      .composite([](const Tensor& self) { return linalg_inv(self); })
      .doc("The inverses of square matrices.");
  op("linalg_solve(Tensor A, Tensor B, *, bool left=True) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& a, const Tensor& b, bool left) {
        auto [x, info] = solve_of(a, b, left);
        check_solution(info, "torch.linalg.solve");
        return x;
      })
      .doc("X of A X = B.");
  op("linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool "
     "check_errors=False) -> (Tensor result, Tensor info)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite(
          [](const Tensor& a, const Tensor& b, bool left, bool check_errors) {
            auto [x, info] = solve_of(a, b, left);
            if (check_errors) {
              check_solution(info, "torch.linalg.solve_ex");
            }
            return std::tuple(x, info);
          })
      .doc("X of A X = B, and error codes.");
  op("_linalg_solve(Tensor A, Tensor B, bool left) -> (Tensor result, Tensor "
     "info)")
      .forms("")
      .node("LinalgSolveExBackward0")
      .kernel(solve_kernel)
      .grad(
          "A",
          "A result left",
          [](const TensorList& grads,
             const Tensor& a,
             const Tensor& result,
             bool left) {
            Tensor g = std::get<0>(_linalg_solve(mH(a), grads[0], left));
            return TensorList{
                left ? -matmul(g, mH(result)) : -matmul(mH(result), g)};
          })
      .grad(
          "B",
          "A left",
          [](const TensorList& grads, const Tensor& a, bool left) {
            return TensorList{
                std::get<0>(_linalg_solve(mH(a), grads[0], left))};
          })
      .doc("X of A X = B (or X A = B), and error codes.");
  op("linalg_det(Tensor A) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .kernel([](const mx::array& a) {
        return std::get<0>(determinants(a, "linalg.det"));
      })
      .grad("A", "A result", det_grad)
      .doc("The determinants of square matrices.");
  op("det(Tensor self) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self) { return linalg_det(self); })
      .doc("The determinants of square matrices.");
  op("linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .kernel([](const mx::array& a) {
        auto [det, sign, log] = determinants(a, "linalg.slogdet");
        return std::tuple(sign, log);
      })
      .grad(
          "A",
          "A sign",
          [](const TensorList& grads, const Tensor& a, const Tensor& sign) {
            Tensor g = grads[1];
            if (sign.is_complex() && grads[0].defined()) {
              // The phase turns as the imaginary part of the logarithm.
              Tensor x = conj(sign) * grads[0];
              Tensor turn = (x - conj(x)) * Scalar(0.5);
              g = g.defined() ? g + turn : turn;
            }
            if (!g.defined()) {
              return TensorList{zeros_like(a)};
            }
            return TensorList{
                unsqueeze(unsqueeze(g, -1), -1) * mH(linalg_inv(a))};
          })
      .doc("The signs of determinants and the logarithms of their sizes.");
  op("slogdet(Tensor self) -> (Tensor sign, Tensor logabsdet)")
      .forms("function method out")
      .exact_out()
      .composite([](const Tensor& self) { return linalg_slogdet(self); })
      .doc("The signs of determinants and the logarithms of their sizes.");
  op("logdet(Tensor self) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self) {
        auto [sign, log_size] = linalg_slogdet(self);
        // log of the sign: 0, or NaN if it is -1.
        return log_size + log(sign);
      })
      .doc("The logarithms of determinants.");
  op("linalg_solve_triangular(Tensor self, Tensor B, *, bool upper, bool "
     "left=True, bool unitriangular=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .composite(solve_triangular_of)
      .doc("X of A X = B for triangular A.");
  op("_solve_triangular(Tensor A, Tensor B, bool upper, bool unit) -> Tensor")
      .forms("")
      .node("LinalgSolveTriangularBackward0")
      .kernel(triangular_kernel)
      .grad(
          "A",
          "A result upper unit",
          [](const Tensor& grad,
             const Tensor& a,
             const Tensor& result,
             bool upper,
             bool unit) {
            Tensor g = _solve_triangular(mH(a), grad, !upper, unit);
            Tensor full = -matmul(g, mH(result));
            float diagonal = unit ? 0.0f : 1.0f;
            return upper ? mT(lower_of(mT(full), diagonal))
                         : lower_of(full, diagonal);
          })
      .grad(
          "B",
          "A upper unit",
          [](const Tensor& grad, const Tensor& a, bool upper, bool unit) {
            return _solve_triangular(mH(a), grad, !upper, unit);
          })
      .doc("X of A X = B for triangular A of the same batch.");
}

} // namespace flashlight
