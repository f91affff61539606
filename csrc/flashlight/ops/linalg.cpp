// Decompositions and solutions.
#include <mlx/linalg.h>
#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/kernels/dense.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

const mx::Device kCpu = mx::Device::cpu;

Tensor mT(const Tensor& x) {
  return transpose(x, -2, -1);
}
Tensor mH(const Tensor& x) {
  return conj(mT(x));
}

void check_precise(const mx::array& a, std::string_view name) {
  Dtype d = from_mlx(a.dtype());
  FL_CHECK(
      d == Dtype::Float32 || d == Dtype::Float64 || d == Dtype::Complex64,
      name,
      is_floating(d) ? ": Low precision dtypes not supported. Got "
                     : ": Expected a floating point or complex tensor as "
                       "input. Got ",
      scalar_name(d));
}

void check_square(const mx::array& a, std::string_view name) {
  FL_CHECK(
      a.ndim() >= 2,
      name,
      ": The input tensor A must have at least 2 dimensions.");
  FL_CHECK(
      a.shape(-1) == a.shape(-2),
      name,
      ": A must be batches of square matrices, but they are ",
      a.shape(-2),
      " by ",
      a.shape(-1),
      " matrices");
  check_precise(a, name);
}

// A complex matrix as a real one of twice the size, which multiplies alike.
mx::array as_real(const mx::array& a) {
  mx::array re = mx::real(a), im = mx::imag(a);
  return mx::concatenate(
      {mx::concatenate({re, mx::negative(im)}, -1),
       mx::concatenate({im, re}, -1)},
      -2);
}

// The first `rows` x `cols` of x, from these offsets.
mx::array block(const mx::array& x, int row, int col, int rows, int cols) {
  mx::Shape from(x.ndim(), 0), to = x.shape();
  size_t n = x.ndim();
  from[n - 2] = row;
  from[n - 1] = col;
  to[n - 2] = row + rows;
  to[n - 1] = col + cols;
  return mx::slice(x, from, to);
}

mx::array complex_of(const mx::array& re, const mx::array& im) {
  return mx::add(
      mx::astype(re, mx::complex64),
      mx::multiply(mx::array(mx::complex64_t(0, 1)), im));
}

// --- matrices in memory, in double precision ---------------------------------

template <typename T>
std::vector<T> load(const mx::array& a) {
  constexpr bool complex = !std::is_same_v<T, double>;
  mx::array x = mx::contiguous(
      mx::astype(a, complex ? mx::complex64 : mx::float64, kCpu), false, kCpu);
  eval({x});
  if constexpr (complex) {
    const auto* from = x.data<mx::complex64_t>();
    return std::vector<T>(from, from + x.size());
  } else {
    const auto* from = x.data<double>();
    return std::vector<T>(from, from + x.size());
  }
}

template <typename T>
mx::array store(const std::vector<T>& v, const mx::Shape& shape, mx::Dtype to) {
  if constexpr (std::is_same_v<T, double>) {
    if (to == mx::float32) {
      std::vector<float> narrow(v.begin(), v.end());
      return mx::array(narrow.data(), shape, mx::float32);
    }
    return mx::array(v.data(), shape, mx::float64);
  } else {
    std::vector<mx::complex64_t> narrow;
    for (const T& x : v) {
      narrow.emplace_back(
          static_cast<float>(x.real()), static_cast<float>(x.imag()));
    }
    return mx::array(narrow.data(), shape, mx::complex64);
  }
}

// f(T{}) for the type that a's elements are computed in.
template <typename F>
auto in_double(const mx::array& a, F f) {
  return a.dtype() == mx::complex64 ? f(std::complex<double>{}) : f(double{});
}

mx::Shape with_last(const mx::array& a, std::initializer_list<int> last) {
  mx::Shape shape(a.shape().begin(), a.shape().end() - 2);
  shape.insert(shape.end(), last.begin(), last.end());
  return shape;
}

std::string batch_text(const mx::array& a, size_t b) {
  return a.ndim() > 2 ? detail::concat("(Batch element ", b, "): ") : "";
}

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

mx::array cholesky_kernel(const mx::array& given, bool upper) {
  constexpr std::string_view name = "linalg.cholesky";
  check_square(given, name);
  mx::array a = upper ? mx::conjugate(mx::swapaxes(given, -1, -2)) : given;
  mx::array lower = in_double(a, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> x = load<T>(a);
    int64_t n = a.shape(-1);
    size_t count = n ? x.size() / static_cast<size_t>(n * n) : 0;
    for (size_t k = 0; k < count; ++k) {
      int64_t bad =
          dense::cholesky(x.data() + k * static_cast<size_t>(n * n), n);
      FL_CHECK_AS(
          LinAlgError,
          bad == 0,
          name,
          ": ",
          batch_text(a, k),
          "The factorization could not be completed because the input is not "
          "positive-definite (the leading minor of order ",
          bad,
          " is not positive-definite).");
    }
    return store(x, a.shape(), a.dtype());
  });
  return upper ? mx::conjugate(mx::swapaxes(lower, -1, -2)) : lower;
}

// The lower triangle of x, its diagonal scaled.
Tensor lower_of(const Tensor& x, float diagonal) {
  int n = static_cast<int>(x.size(-1));
  mx::Dtype type = to_mlx(x.dtype());
  mx::array mask = mx::add(
      mx::tril(mx::ones({n, n}, type), -1),
      mx::multiply(mx::array(diagonal, type), mx::eye(n, type)));
  return x * constant(mask, x);
}

Tensor cholesky_grad(const Tensor& grad, const Tensor& result, bool upper) {
  Tensor l = upper ? mH(result) : result, g = upper ? mH(grad) : grad;
  Tensor inverse = linalg_inv(l);
  Tensor phi = matmul(mH(l), g);
  phi = (lower_of(phi, 1) + mH(lower_of(phi, 0))) * Scalar(0.5);
  return matmul(matmul(mH(inverse), phi), inverse);
}

std::tuple<mx::array, mx::array> qr_kernel(
    const mx::array& a,
    const std::string& mode) {
  FL_CHECK(
      mode == "reduced" || mode == "complete" || mode == "r",
      "qr received unrecognized mode '",
      mode,
      "' but expected one of 'reduced' (default), 'r', or 'complete'");
  FL_CHECK(
      a.ndim() >= 2,
      "linalg.qr: The input tensor A must have at least 2 dimensions.");
  check_precise(a, "linalg.qr");
  return in_double(a, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> x = load<T>(a);
    int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
    int width = mode == "complete" ? m : k;
    mx::Shape batch(a.shape().begin(), a.shape().end() - 2);
    size_t count = 1;
    for (int d : batch) {
      count *= static_cast<size_t>(d);
    }
    std::vector<T> q(count * static_cast<size_t>(m * m));
    for (size_t b = 0; b < count; ++b) {
      dense::qr(
          x.data() + b * static_cast<size_t>(m * n),
          q.data() + b * static_cast<size_t>(m * m),
          m,
          n);
    }
    mx::array full_q = store(q, with_last(a, {m, m}), a.dtype());
    mx::array full_r = store(x, a.shape(), a.dtype());
    mx::array r = block(full_r, 0, 0, width, n);
    if (mode == "r") {
      return std::tuple(mx::zeros({0}, a.dtype()), r);
    }
    return std::tuple(block(full_q, 0, 0, m, width), r);
  });
}

// With M = R gR^H - gQ^H Q: A's gradient is (gQ + Q copyltu(M)) R^-H, where
// copyltu makes a Hermitian matrix of the lower triangle ("Auto-Differentiating
// Linear Algebra", Seeger et al.).
Tensor qr_grad(
    const TensorList& grads,
    const Tensor& q,
    const Tensor& r,
    const std::string& mode) {
  FL_CHECK(
      mode != "r",
      "The derivative of linalg.qr depends on Q, which is not computed when "
      "mode='r'. Please use linalg.qr(A, mode='reduced') if you are going to "
      "require the derivative.");
  int64_t m = q.size(-2), n = r.size(-1);
  FL_CHECK(
      mode != "complete" || m <= n,
      "The QR decomposition is not differentiable when mode='complete' and "
      "nrows > ncols.");
  if (m < n) {
    // R = [U V] with A = [X Y]: V = Q^H Y, and X = Q U.
    Tensor u = slice(r, -1, 0, m), gu, gv, g = grads[0];
    if (grads[1].defined()) {
      gu = slice(grads[1], -1, 0, m);
      gv = slice(grads[1], -1, m, n);
      Tensor y = matmul(q, slice(r, -1, m, n));
      Tensor through = matmul(y, mH(gv));
      g = g.defined() ? g + through : through;
    } else {
      gv = zeros_like(slice(r, -1, m, n));
    }
    return cat({qr_grad({g, gu}, q, u, mode), matmul(q, gv)}, -1);
  }
  const Tensor &gq = grads[0], &gr = grads[1];
  Tensor inner;
  if (gr.defined()) {
    inner = matmul(r, mH(gr));
  }
  if (gq.defined()) {
    Tensor x = matmul(mH(gq), q);
    inner = inner.defined() ? inner - x : -x;
  }
  Tensor lower = lower_of(inner, 0.5f);
  Tensor out = matmul(q, lower + mH(lower));
  return matmul(gq.defined() ? gq + out : out, mH(linalg_inv(r)));
}

void check_finite(const mx::array& a) {
  mx::array ok = mx::all(mx::isfinite(a));
  eval({ok});
  FL_CHECK_AS(
      LinAlgError,
      ok.item<bool>(),
      "linalg.svd: The algorithm failed to converge because the input matrix "
      "contained non-finite values.");
}

// Eigenvalues and vectors from one triangle.
std::tuple<mx::array, mx::array> eigh_kernel(
    const mx::array& a,
    const std::string& uplo) {
  check_square(a, "linalg.eigh");
  FL_CHECK(
      uplo.size() == 1 &&
          std::string_view("LlUu").find(uplo[0]) != std::string_view::npos,
      "Expected UPLO argument to be 'L' or 'U', but got ",
      uplo);
  if (a.size() == 0) {
    mx::Shape shape(a.shape().begin(), a.shape().end() - 1);
    return {mx::zeros(shape, to_mlx(to_real(from_mlx(a.dtype())))), a};
  }
  bool upper = toupper(uplo[0]) == 'U';
  mx::array x = upper ? mx::conjugate(mx::swapaxes(a, -1, -2)) : a;
  // NaN gives NaN, where LAPACK would give up.
  mx::array bad = mx::any(mx::logical_not(mx::isfinite(x)), {-1, -2}, true);
  x = mx::where(bad, mx::eye(a.shape(-1), a.dtype()), x);
  auto [values, vectors] = mx::linalg::eigh(x, "L", kCpu);
  auto spoiled = [](const mx::array& y, const mx::array& where) {
    mx::array nan = mx::array(std::numeric_limits<float>::quiet_NaN());
    return mx::where(where, mx::astype(nan, y.dtype()), y);
  };
  return {spoiled(values, mx::squeeze(bad, -1)), spoiled(vectors, bad)};
}

Tensor eigh_grad(const TensorList& grads, const Tensor& l, const Tensor& v) {
  mx::array unit = mx::eye(static_cast<int>(l.size(-1)), to_mlx(l.dtype()));
  Tensor eye = constant(unit, l);
  Tensor inner;
  if (grads[0].defined()) {
    inner = unsqueeze(grads[0], -1) * eye;
  }
  if (grads[1].defined()) {
    Tensor gap = unsqueeze(l, -2) - unsqueeze(l, -1) + eye;
    Tensor off = constant(mx::subtract(mx::ones_like(unit), unit), l);
    Tensor y = matmul(mH(v), grads[1]);
    Tensor x = (y - mH(y)) * Scalar(0.5) / gap * off;
    inner = inner.defined() ? inner + x : x;
  }
  return matmul(matmul(v, _to_copy(inner, v.dtype())), mH(v));
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

// Singular values and vectors, reduced unless full_matrices. Of the pairs that
// the real twin of a complex matrix has, every second one is taken.
std::tuple<mx::array, mx::array, mx::array>
svd_kernel(const mx::array& a, bool full_matrices, bool compute_uv) {
  FL_CHECK(
      a.ndim() >= 2,
      "linalg.svd: The input tensor A must have at least 2 dimensions.");
  Dtype d = from_mlx(a.dtype());
  FL_CHECK(
      d == Dtype::Float32 || d == Dtype::Float64 || d == Dtype::Complex64,
      "linalg.svd: Expected a floating point or complex tensor as input. Got ",
      scalar_name(d));
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  bool complex = a.dtype() == mx::complex64;
  mx::Shape batch(a.shape().begin(), a.shape().end() - 2);
  auto shaped = [&](std::initializer_list<int> last) {
    mx::Shape shape = batch;
    shape.insert(shape.end(), last.begin(), last.end());
    return shape;
  };
  mx::Dtype real = complex ? mx::float32 : a.dtype();
  if (a.size() == 0) {
    auto eye = [&](int rows, int cols) {
      return mx::broadcast_to(
          mx::eye(rows, cols, 0, a.dtype()), shaped({rows, cols}));
    };
    return {
        eye(m, full_matrices ? m : k),
        mx::zeros(shaped({k}), real),
        eye(full_matrices ? n : k, n)};
  }
  FL_CHECK_AS(
      NotImplementedError,
      !complex || !full_matrices || m == n,
      "linalg.svd: full_matrices of complex matrices is not supported");
  check_finite(a);
  auto parts = mx::linalg::svd(complex ? as_real(a) : a, true, kCpu);
  mx::array u = parts[0], s = parts[1], vh = parts[2];
  if (complex) {
    auto every_second = [](const mx::array& x, int axis, int count) {
      std::vector<int> at;
      for (int i = 0; i < count; ++i) {
        at.push_back(2 * i);
      }
      return mx::take(x, mx::array(at.data(), {count}), axis);
    };
    s = every_second(s, -1, k);
    u = every_second(u, -1, k);
    vh = every_second(vh, -2, k);
    u = complex_of(block(u, 0, 0, m, k), block(u, m, 0, m, k));
    vh = complex_of(block(vh, 0, 0, k, n), mx::negative(block(vh, 0, n, k, n)));
  } else if (!full_matrices) {
    u = block(u, 0, 0, m, k);
    vh = block(vh, 0, 0, k, n);
  }
  (void)compute_uv;
  return {u, s, vh};
}

// See "Differentiating the SVD" (Townsend): with E = s_j^2 - s_i^2.
Tensor svd_grad(
    const TensorList& grads,
    const Tensor& full_u,
    const Tensor& s,
    const Tensor& full_vh) {
  // Of full matrices, the gradient of the reduced part is what counts.
  int64_t m = full_u.size(-2), n = full_vh.size(-1), k = s.size(-1);
  Tensor u = slice(full_u, -1, 0, k), vh = slice(full_vh, -2, 0, k);
  Tensor v = mH(vh);
  Tensor inner;
  auto add = [&](const Tensor& x) { inner = inner.defined() ? inner + x : x; };
  mx::array eye = mx::eye(static_cast<int>(k), to_mlx(s.dtype()));
  Tensor diagonal = constant(eye, s);
  Tensor rows = unsqueeze(s, -1), cols = unsqueeze(s, -2);
  Tensor outer;
  if (grads[1].defined()) {
    add(unsqueeze(grads[1], -1) * diagonal);
  }
  if (grads[0].defined() || grads[2].defined()) {
    // Ones on the diagonal keep the division finite; skew() has zeros there.
    Tensor gap = (cols - rows) * (cols + rows) + diagonal;
    auto skew = [&](const Tensor& x) { return x - mH(x); };
    Tensor gu = grads[0].defined() ? slice(grads[0], -1, 0, k) : Tensor();
    Tensor gv = grads[2].defined() ? mH(slice(grads[2], -2, 0, k)) : Tensor();
    if (gu.defined()) {
      Tensor ug = matmul(mH(u), gu);
      add(skew(ug) / gap * cols);
    }
    if (gv.defined()) {
      Tensor vg = matmul(mH(v), gv);
      add(rows * (skew(vg) / gap));
    }
    if (u.is_complex() && gu.defined()) {
      // The phase of the vectors is free; what the gradient says of it.
      Tensor ug = matmul(mH(u), gu);
      add(skew(ug) * diagonal / (rows * Scalar(2)));
    }
    if (m > k && gu.defined()) {
      Tensor g = gu / cols;
      outer = matmul(g - matmul(u, matmul(mH(u), g)), vh);
    }
    if (n > k && gv.defined()) {
      Tensor g = mH(gv / cols);
      Tensor x = matmul(u, g - matmul(matmul(g, v), vh));
      outer = outer.defined() ? outer + x : x;
    }
  }
  Tensor out = matmul(matmul(u, _to_copy(inner, u.dtype())), vh);
  return outer.defined() ? out + outer : out;
}

} // namespace

void register_linalg() {
  op("linalg_inv(Tensor A) -> Tensor")
      .module("linalg")
      .forms("function out")
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
      .composite([](const Tensor& self) { return linalg_inv(self); })
      .doc("The inverses of square matrices.");
  op("linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .composite([](const Tensor& a, const std::optional<std::string>& driver) {
        (void)driver;
        return std::get<1>(_linalg_svd(a, false, true));
      })
      .doc("The singular values of matrices.");
  op("_linalg_svd(Tensor A, bool full_matrices=False, bool compute_uv=True, "
     "*, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)")
      .forms("")
      .node("LinalgSvdBackward0")
      .kernel([](const mx::array& a,
                 bool full_matrices,
                 bool compute_uv,
                 const std::optional<std::string>& driver) {
        (void)driver;
        return svd_kernel(a, full_matrices, compute_uv);
      })
      .grad(
          "A",
          "U S Vh needs",
          [](const TensorList& grads,
             const Tensor& u,
             const Tensor& s,
             const Tensor& vh,
             const BoolList&) { return TensorList{svd_grad(grads, u, s, vh)}; })
      .doc("The singular value decomposition of matrices.");
  op("linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> "
     "(Tensor U, Tensor S, Tensor Vh)")
      .module("linalg")
      .forms("function out")
      .composite([](const Tensor& a,
                    bool full_matrices,
                    const std::optional<std::string>& driver) {
        return _linalg_svd(a, full_matrices, true, driver);
      })
      .doc("The singular value decomposition of matrices.");
  op("linalg_solve(Tensor A, Tensor B, *, bool left=True) -> Tensor")
      .module("linalg")
      .forms("function out")
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
  op("linalg_cholesky(Tensor self, *, bool upper=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .node("LinalgCholeskyExBackward0")
      .kernel(cholesky_kernel)
      .grad(
          "self",
          "result upper",
          [](const Tensor& grad, const Tensor& result, bool upper) {
            return cholesky_grad(grad, result, upper);
          })
      .doc("The Cholesky factors of positive matrices.");
  op("cholesky(Tensor self, bool upper=False) -> Tensor")
      .forms("function method out")
      .composite([](const Tensor& self, bool upper) {
        return linalg_cholesky(self, upper);
      })
      .doc("The Cholesky factors of positive matrices.");
  op("linalg_qr(Tensor A, str mode='reduced') -> (Tensor Q, Tensor R)")
      .module("linalg")
      .forms("function out")
      .kernel(qr_kernel)
      .grad(
          "A",
          "Q R mode",
          [](const TensorList& grads,
             const Tensor& q,
             const Tensor& r,
             const std::string& mode) {
            return TensorList{qr_grad(grads, q, r, mode)};
          })
      .doc("Orthogonal and triangular factors.");
  op("linalg_eigh(Tensor self, str UPLO='L') -> (Tensor eigenvalues, Tensor "
     "eigenvectors)")
      .module("linalg")
      .forms("function out")
      .node("LinalgEighBackward0")
      .kernel(eigh_kernel)
      .grad(
          "self",
          "eigenvalues eigenvectors",
          [](const TensorList& grads, const Tensor& l, const Tensor& v) {
            return TensorList{eigh_grad(grads, l, v)};
          })
      .doc("Eigenvalues and vectors of Hermitian matrices.");
  op("linalg_eigvalsh(Tensor self, str UPLO='L') -> Tensor")
      .module("linalg")
      .forms("function out")
      .composite([](const Tensor& self, const std::string& uplo) {
        return std::get<0>(linalg_eigh(self, uplo));
      })
      .doc("Eigenvalues of Hermitian matrices.");
}

} // namespace flashlight
