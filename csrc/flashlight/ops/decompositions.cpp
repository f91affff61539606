// Factors of matrices: singular values, eigenvalues, QR, Cholesky.
#include <algorithm>

#include <mlx/linalg.h>
#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/kernels/dense.h"
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

// The pseudoinverse by singular values; the small ones count as zero.
Tensor pinv_of(
    const Tensor& a,
    const std::optional<Tensor>& atol,
    const std::optional<Tensor>& rtol,
    double absolute,
    std::optional<double> relative,
    bool hermitian) {
  FL_CHECK(
      a.dim() >= 2,
      "linalg.pinv: The input tensor A must have at least 2 dimensions.");
  for (auto [t, name] : {std::pair(&atol, "atol"), {&rtol, "rtol"}}) {
    FL_CHECK(
        !*t || !(*t)->defined() || !requires_grad(**t),
        "The function 'linalg_pinv' is not differentiable with respect to "
        "argument '",
        name,
        "'. This input cannot have requires_grad True.");
  }
  if (a.numel() == 0) {
    return mH(a * a); // empty, and differentiable twice like the others
  }
  (void)hermitian;
  auto [u, s, vh] = linalg_svd(a, false);
  mx::array values = s.value();
  mx::Dtype type = values.dtype();
  double epsilon = type == mx::float64 ? 0x1p-52 : 0x1p-23;
  double size = static_cast<double>(std::max(a.size(-1), a.size(-2)));
  double fallback = absolute > 0 || atol ? 0.0 : epsilon * size;
  auto tolerance = [&](const std::optional<Tensor>& t, double number) {
    return t && t->defined()
               ? mx::expand_dims(mx::astype(t->value(), type), -1)
               : mx::astype(mx::array(static_cast<float>(number)), type);
  };
  mx::array cut = mx::maximum(
      tolerance(atol, absolute),
      mx::multiply(
          tolerance(rtol, relative.value_or(fallback)),
          mx::max(values, -1, true)));
  mx::array small = mx::less_equal(values, cut);
  Tensor keep = constant(mx::astype(mx::logical_not(small), type), s);
  Tensor fill = constant(mx::astype(small, type), s);
  Tensor inverse = keep / (s * keep + fill);
  return matmul(mH(vh) * unsqueeze(inverse, -2), mH(u));
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

void register_decompositions() {
  op("linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
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
      .exact_out()
      .composite([](const Tensor& a,
                    bool full_matrices,
                    const std::optional<std::string>& driver) {
        return _linalg_svd(a, full_matrices, true, driver);
      })
      .doc("The singular value decomposition of matrices.");
  op("linalg_cholesky(Tensor self, *, bool upper=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
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
  op("linalg_pinv.atol_rtol_tensor(Tensor self, *, Tensor? atol=None, Tensor? "
     "rtol=None, bool hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .composite([](const Tensor& self,
                    const Tensor& atol,
                    const Tensor& rtol,
                    bool hermitian) {
        std::optional<Tensor> a, r;
        if (atol.defined()) {
          a = atol;
        }
        if (rtol.defined()) {
          r = rtol;
        }
        return pinv_of(self, a, r, 0, std::nullopt, hermitian);
      })
      .doc("The pseudoinverses of matrices.");
  op("linalg_pinv.atol_rtol_float(Tensor self, *, float? atol=None, float? "
     "rtol=None, bool hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .composite([](const Tensor& self,
                    std::optional<double> atol,
                    std::optional<double> rtol,
                    bool hermitian) {
        return pinv_of(self, {}, {}, atol.value_or(0), rtol, hermitian);
      })
      .doc("The pseudoinverses of matrices.");
  op("linalg_pinv(Tensor self, float rcond, bool hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .composite([](const Tensor& self, double rcond, bool hermitian) {
        return pinv_of(self, {}, {}, 0, rcond, hermitian);
      })
      .doc("The pseudoinverses of matrices.");
  op("linalg_pinv.rcond_tensor(Tensor self, Tensor rcond, bool "
     "hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .composite([](const Tensor& self, const Tensor& rcond, bool hermitian) {
        FL_CHECK(
            !rcond.is_complex(),
            "torch.linalg.pinv: rcond tensor of complex type is not "
            "supported. Got ",
            scalar_name(rcond.dtype()));
        return pinv_of(
            self, {}, std::optional<Tensor>(rcond), 0, 0.0, hermitian);
      })
      .doc("The pseudoinverses of matrices.");
  op("pinverse(Tensor self, float rcond=1e-15) -> Tensor")
      .autocast(Autocast::Float32, Autocast::None)
      .forms("function method")
      .composite([](const Tensor& self, double rcond) {
        return pinv_of(self, {}, {}, 0, rcond, false);
      })
      .doc("The pseudoinverses of matrices.");
}

} // namespace flashlight
