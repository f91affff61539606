// Factors of matrices: singular values, eigenvalues, QR, Cholesky.
#include <algorithm>

#include <mlx/linalg.h>
#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/forward_mode.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/batches.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/decompositions.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/linalg.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// The factors and error codes.
std::tuple<mx::array, mx::array> cholesky_kernel(
    const mx::array& given,
    bool upper) {
  check_square(given, "linalg.cholesky");
  auto adjoint = [](const mx::array& x) {
    return mx::conjugate(mx::swapaxes(x, -1, -2));
  };
  return in_double(given, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(upper ? adjoint(given) : given);
    std::vector<int> info(a.count);
    for (size_t k = 0; k < a.count && a.each(); ++k) {
      info[k] = all_finite(a.at(k), a.each())
                    ? lapack::potrf(a.rows, a.at(k))
                    : dense::cholesky(a.rows, a.at(k));
    }
    mx::array lower =
        mx::tril(store_batch(a, batch_shape(given), given.dtype()));
    return std::tuple(
        upper ? adjoint(lower) : lower, store_ints(info, batch_shape(given)));
  });
}

void check_positive(const Tensor& info, std::string_view name) {
  check_info(info, name, [](int minor) {
    return detail::concat(
        "The factorization could not be completed because the input is not "
        "positive-definite (the leading minor of order ",
        minor,
        " is not positive-definite).");
  });
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
    Batch<T> x = load_batch<T>(a);
    int m = x.rows, n = x.columns, k = std::min(m, n);
    int width = mode == "complete" ? m : k;
    Batch<T> q(mode == "r" ? 0 : x.count, m, width);
    std::vector<T> tau(static_cast<size_t>(k));
    for (size_t b = 0; b < x.count; ++b) {
      if (x.each()) {
        lapack::geqrf(m, n, x.at(b), tau.data());
      }
      if (q.count && q.each()) {
        auto common =
            static_cast<size_t>(m) * static_cast<size_t>(std::min(width, n));
        std::copy_n(x.at(b), common, q.at(b));
        lapack::orgqr(m, width, k, q.at(b), tau.data());
      }
    }
    mx::Shape batch = batch_shape(a);
    mx::array r =
        mx::triu(block(store_batch(x, batch, a.dtype()), 0, 0, width, n));
    if (mode == "r") {
      return std::tuple(mx::zeros({0}, a.dtype()), r);
    }
    return std::tuple(store_batch(q, batch, a.dtype()), r);
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
  mx::array finite = mx::all(mx::isfinite(x));
  eval({finite});
  FL_CHECK_AS(
      LinAlgError,
      finite.item<bool>(),
      "linalg.eigh: The algorithm failed to converge because the input matrix "
      "is ill-conditioned or has too many repeated eigenvalues (error code: ",
      a.shape(-1) - 1,
      ").");
  auto [values, vectors] = mx::linalg::eigh(x, "L", kCpu);
  return {values, vectors};
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

void check_driver(const std::optional<std::string>& driver) {
  FL_CHECK(
      !driver,
      "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA "
      "inputs with cuSOLVER backend.");
}

// Singular values and vectors, reduced unless full_matrices.
std::tuple<mx::array, mx::array, mx::array>
svd_kernel(const mx::array& given, bool full_matrices, bool compute_uv) {
  FL_CHECK(
      given.ndim() >= 2,
      "linalg.svd: The input tensor A must have at least 2 dimensions.");
  Dtype d = from_mlx(given.dtype());
  FL_CHECK(
      (is_floating(d) || is_complex(d)) && kind_of(d) != kHalves,
      "linalg.svd: Expected a floating point or complex tensor as input. Got ",
      scalar_name(d));
  int m = given.shape(-2), n = given.shape(-1), k = std::min(m, n);
  mx::Shape batch = batch_shape(given), flat = batch;
  flat.push_back(k);
  mx::Dtype real = to_mlx(to_real(d));
  if (given.size() == 0) {
    auto eye = [&](int rows, int cols) {
      mx::Shape shape = batch;
      shape.insert(shape.end(), {rows, cols});
      return mx::broadcast_to(mx::eye(rows, cols, 0, given.dtype()), shape);
    };
    return {
        eye(m, full_matrices ? m : k),
        mx::zeros(flat, real),
        eye(full_matrices ? n : k, n)};
  }
  return in_double(given, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(given);
    char which = !compute_uv ? 'N' : full_matrices ? 'A' : 'S';
    Batch<T> u(compute_uv ? a.count : 0, m, full_matrices ? m : k);
    Batch<T> vh(compute_uv ? a.count : 0, full_matrices ? n : k, n);
    Batch<double> s(a.count, k, 1);
    for (size_t i = 0; i < a.count; ++i) {
      FL_CHECK_AS(
          LinAlgError,
          all_finite(a.at(i), a.each()),
          "linalg.svd: ",
          batch_text(given, i),
          "The algorithm failed to converge because the input matrix contained "
          "non-finite values.");
      T none[1];
      int info = lapack::gesdd(
          which,
          m,
          n,
          a.at(i),
          s.at(i),
          compute_uv ? u.at(i) : none,
          compute_uv ? vh.at(i) : none);
      FL_CHECK_AS(
          LinAlgError,
          info == 0,
          "linalg.svd: ",
          batch_text(given, i),
          "The algorithm failed to converge because the input matrix is "
          "ill-conditioned or has too many repeated singular values (error "
          "code: ",
          info,
          ").");
    }
    mx::array values = store(s.data, flat, real);
    if (!compute_uv) {
      mx::array none = mx::zeros({0}, given.dtype());
      return std::tuple(none, values, none);
    }
    return std::tuple(
        store_batch(u, batch, given.dtype()),
        values,
        store_batch(vh, batch, given.dtype()));
  });
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

void register_decompositions() {
  op("linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& a, const std::optional<std::string>& driver) {
        check_driver(driver);
        bool vectors = is_differentiated(a);
        return std::get<1>(_linalg_svd(a, false, vectors));
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
        check_driver(driver);
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
      .exact_out()
      .composite([](const Tensor& a,
                    bool full_matrices,
                    const std::optional<std::string>& driver) {
        return _linalg_svd(a, full_matrices, true, driver);
      })
      .doc("The singular value decomposition of matrices.");
  op("linalg_cholesky_ex(Tensor self, *, bool upper=False, bool "
     "check_errors=False) -> (Tensor L, Tensor info)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .node("LinalgCholeskyExBackward0")
      .kernel([](const mx::array& self, bool upper, bool check_errors) {
        auto [factor, info] = cholesky_kernel(self, upper);
        if (check_errors) {
          check_positive(Tensor(info), "linalg.cholesky_ex");
        }
        return std::tuple(factor, info);
      })
      .grad(
          "self",
          "L upper",
          [](const TensorList& grads, const Tensor& factor, bool upper) {
            return TensorList{cholesky_grad(grads[0], factor, upper)};
          })
      .doc("The Cholesky factors of positive matrices, and error codes.");
  op("linalg_cholesky(Tensor self, *, bool upper=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& self, bool upper) {
        auto [factor, info] = linalg_cholesky_ex(self, upper);
        check_positive(info, "linalg.cholesky");
        return factor;
      })
      .doc("The Cholesky factors of positive matrices.");
  op("cholesky(Tensor self, bool upper=False) -> Tensor")
      .forms("function method out")
      .exact_out("%ccholesky")
      .composite([](const Tensor& self, bool upper) {
        return linalg_cholesky(self, upper);
      })
      .doc("The Cholesky factors of positive matrices.");
  op("linalg_qr(Tensor A, str mode='reduced') -> (Tensor Q, Tensor R)")
      .module("linalg")
      .forms("function out")
      .exact_out()
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
      .exact_out()
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
      .exact_out()
      .composite([](const Tensor& self, const std::string& uplo) {
        return std::get<0>(linalg_eigh(self, uplo));
      })
      .doc("Eigenvalues of Hermitian matrices.");
}

} // namespace flashlight
