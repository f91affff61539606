// Inverses, solutions and determinants.
#include <algorithm>

#include <mlx/linalg.h>
#include <mlx/ops.h>

#include "flashlight/kernels/dense.h"
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

// --- matrices in memory, in double precision ---------------------------------

// A^-1 B by elimination. `singular` words the error.
template <typename F>
mx::array solved(const mx::array& a, const mx::array& b, F singular) {
  return in_double(a, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> left = load<T>(a), right = load<T>(b);
    int64_t n = a.shape(-1), m = b.shape(-1);
    size_t count = n ? left.size() / static_cast<size_t>(n * n) : 0;
    std::vector<T> out(right.size());
    std::vector<int64_t> rows;
    for (size_t k = 0; k < count; ++k) {
      T* x = left.data() + k * static_cast<size_t>(n * n);
      const T* y = right.data() + k * static_cast<size_t>(n * m);
      T* z = out.data() + k * static_cast<size_t>(n * m);
      int64_t bad = 0;
      dense::lu(x, n, rows, bad);
      if (bad) {
        singular(k, bad);
      }
      for (int64_t i = 0; i < n; ++i) {
        std::copy_n(y + rows[static_cast<size_t>(i)] * m, m, z + i * m);
      }
      dense::solve_triangular(x, z, n, m, false, true);
      dense::solve_triangular(x, z, n, m, true, false);
    }
    return store(out, b.shape(), a.dtype());
  });
}

mx::array inverse_kernel(const mx::array& a) {
  check_square(a, "linalg.inv");
  if (a.size() == 0) {
    return a;
  }
  mx::array eye = mx::broadcast_to(mx::eye(a.shape(-1), a.dtype()), a.shape());
  return solved(a, eye, [&](size_t b, int64_t k) {
    fail<LinAlgError>(
        "linalg.inv: ",
        batch_text(a, b),
        "The diagonal element ",
        k,
        " is zero, the inversion could not be completed because the input "
        "matrix is singular.");
  });
}

mx::array solve_kernel(const Tensor& a, const Tensor& b) {
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
  FL_CHECK(
      y.ndim() >= 2 && y.shape(-2) == x.shape(-1),
      "linalg.solve: Incompatible shapes of A and B for the equation AX = B (",
      x.shape(-2),
      "x",
      x.shape(-1),
      " and ",
      y.ndim() >= 2 ? y.shape(-2) : y.shape(-1),
      "x",
      y.ndim() >= 2 ? y.shape(-1) : 1,
      ")");
  IntList sa = a.sizes(), sb = b.sizes();
  IntList batch = broadcast_sizes(
      IntList(sa.begin(), sa.end() - 2), IntList(sb.begin(), sb.end() - 2));
  auto broadcast = [&](const mx::array& m) {
    mx::Shape shape = to_shape(batch);
    shape.push_back(m.shape(-2));
    shape.push_back(m.shape(-1));
    return mx::broadcast_to(m, shape);
  };
  mx::array left = broadcast(x), right = broadcast(y);
  if (right.size() == 0) {
    return right;
  }
  return solved(left, right, [&](size_t k, int64_t) {
    fail<LinAlgError>(
        "torch.linalg.solve: ",
        batch_text(left, k),
        "The solver failed because the input matrix is singular.");
  });
}

// The sign (or phase) of determinants and the logarithm of their size.
std::tuple<mx::array, mx::array, mx::array> determinants(
    const mx::array& a,
    std::string_view name) {
  check_square(a, name);
  return in_double(a, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> x = load<T>(a);
    int64_t n = a.shape(-1);
    mx::Shape shape(a.shape().begin(), a.shape().end() - 2);
    size_t count = 1;
    for (int d : shape) {
      count *= static_cast<size_t>(d);
    }
    std::vector<T> det(count, T(1)), sign(count, T(1));
    std::vector<double> log(count, 0);
    std::vector<int64_t> rows;
    for (size_t k = 0; k < count; ++k) {
      T* m = x.data() + k * static_cast<size_t>(n * n);
      int64_t bad = 0;
      int parity = dense::lu(m, n, rows, bad);
      det[k] = sign[k] = T(parity);
      for (int64_t i = 0; i < n; ++i) {
        T d = m[i * n + i];
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
  check_square(a.value(), name);
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
  op("linalg_inv(Tensor A) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .node("LinalgInvExBackward0")
      .kernel(inverse_kernel)
      .grad(
          "A",
          "result",
          [](const Tensor& grad, const Tensor& result) {
            Tensor h = mH(result);
            return -matmul(h, matmul(grad, h));
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
        FL_CHECK(
            a.dim() >= 2,
            "linalg.solve: The input tensor A must have at least 2 "
            "dimensions.");
        // A batch of vectors, as PyTorch tells them from matrices.
        IntList batch(a.sizes().begin(), a.sizes().end() - 1);
        bool vector =
            b.dim() == 1 || (a.dim() - 1 == b.dim() && b.sizes() == batch);
        FL_CHECK(
            left || !vector,
            "linalg.solve: Vector broadcasting of the left hand side is not "
            "supported for left=False");
        if (vector) {
          return squeeze(_linalg_solve(a, unsqueeze(b, -1)), -1);
        }
        return left ? _linalg_solve(a, b) : mT(_linalg_solve(mT(a), mT(b)));
      })
      .doc("X of A X = B.");
  op("_linalg_solve(Tensor A, Tensor B) -> Tensor")
      .forms("")
      .node("LinalgSolveExBackward0")
      .kernel(solve_kernel)
      .grad(
          "A",
          "A result",
          [](const Tensor& grad, const Tensor& a, const Tensor& result) {
            return -matmul(_linalg_solve(mH(a), grad), mH(result));
          })
      .grad(
          "B",
          "A",
          [](const Tensor& grad, const Tensor& a) {
            return _linalg_solve(mH(a), grad);
          })
      .doc("X of A X = B.");
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
