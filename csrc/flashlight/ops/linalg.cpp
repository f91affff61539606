// Decompositions and solutions.
#include <mlx/linalg.h>
#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
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
  Dtype d = from_mlx(a.dtype());
  FL_CHECK(
      d == Dtype::Float32 || d == Dtype::Float64 || d == Dtype::Complex64,
      name,
      is_floating(d) ? ": Low precision dtypes not supported. Got "
                     : ": Expected a floating point or complex tensor as "
                       "input. Got ",
      scalar_name(d));
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

mx::array inverse_kernel(const mx::array& a) {
  check_square(a, "linalg.inv");
  if (a.size() == 0) {
    return a;
  }
  if (a.dtype() != mx::complex64) {
    return mx::linalg::inv(a, kCpu);
  }
  int n = a.shape(-1);
  mx::array x = mx::linalg::inv(as_real(a), kCpu);
  return complex_of(block(x, 0, 0, n, n), block(x, n, 0, n, n));
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
}

} // namespace flashlight
