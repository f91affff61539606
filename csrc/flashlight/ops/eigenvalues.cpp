// Eigenvalues and vectors of matrices that need not be Hermitian.
#include <algorithm>
#include <cmath>

#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/forward_mode.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/batches.h"
#include "flashlight/ops/functions/complex.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/eigenvalues.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

void check_shape(const Tensor& a, std::string_view name) {
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

std::tuple<mx::array, mx::array>
eig_kernel(const mx::array& given, bool vectors, std::string_view name) {
  Dtype d = from_mlx(given.dtype());
  FL_CHECK(
      is_floating(d) || is_complex(d),
      "Unknown Complex ScalarType for ",
      scalar_name(d));
  mx::Dtype type = to_mlx(to_complex(d));
  using Complex = std::complex<double>;
  return in_double(given, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(given);
    int n = a.rows;
    Batch<Complex> values(a.count, n, 1);
    Batch<Complex> columns(vectors ? a.count : 0, n, n);
    for (size_t k = 0; k < a.count && n; ++k) {
      FL_CHECK(
          all_finite(a.at(k), a.each()),
          name,
          ": input tensor should not contain infs or NaNs.");
      int info = lapack::geev(
          n, a.at(k), values.at(k), vectors ? columns.at(k) : nullptr);
      FL_CHECK_AS(
          LinAlgError,
          info == 0,
          name,
          ": ",
          batch_text(given, k),
          "The algorithm failed to converge because the input matrix is "
          "ill-conditioned or has too many repeated eigenvalues (error code: ",
          info,
          ").");
    }
    mx::Shape batch = batch_shape(given), flat = batch;
    flat.push_back(n);
    return std::tuple(
        store(values.data, flat, type),
        vectors ? store_batch(columns, batch, type) : mx::zeros({0}, type));
  });
}

// With A V = V L, the columns of V of length one and of any phase: what the
// gradient says of the phase must be zero.
Tensor eig_grad(
    const TensorList& grads,
    const Tensor& self,
    const Tensor& l,
    const Tensor& v) {
  if (l.numel() == 0) {
    return zeros_like(self);
  }
  const Tensor &gl = grads[0], &gv = grads[1];
  Tensor inner;
  Tensor vh = mH(v);
  if (gv.defined()) {
    mx::array eye = mx::eye(l.value().shape(-1), to_mlx(l.dtype()));
    Tensor unit = constant(eye, l);
    Tensor off = constant(mx::subtract(mx::ones_like(eye), eye), l);
    Tensor y = matmul(vh, gv);
    Tensor diagonal = sum(y * unit, IntList{-2});
    mx::array phase = mx::max(mx::abs(mx::imag(detach(diagonal).value())));
    mx::array size = mx::max(mx::abs(detach(y).value()));
    eval({phase, size});
    FL_CHECK(
        phase.item<float>() <= 1e-2f * std::max(1.0f, size.item<float>()),
        "linalg_eig_backward: The eigenvectors in the complex case are "
        "specified up to multiplication by e^{i phi}. The specified loss "
        "function depends on this quantity, so it is ill-defined.");
    Tensor along = unsqueeze(_to_copy(real(diagonal), l.dtype()), -2);
    Tensor gap = unsqueeze(l, -2) - unsqueeze(l, -1) + unit;
    inner = (y - matmul(vh, v) * along) / conj(gap) * off;
    if (gl.defined()) {
      inner = inner + unsqueeze(gl, -1) * unit;
    }
    inner = matmul(inner, vh);
  } else {
    inner = unsqueeze(gl, -1) * vh;
  }
  Tensor out = linalg_solve(vh, inner);
  return self.is_complex() ? out : real(out);
}

} // namespace

void register_eigenvalues() {
  op("_linalg_eig(Tensor self, bool vectors) -> (Tensor eigenvalues, Tensor "
     "eigenvectors)")
      .forms("")
      .node("LinalgEigBackward0")
      .kernel([](const mx::array& self, bool vectors) {
        return eig_kernel(
            self,
            vectors,
            vectors ? "torch.linalg.eig" : "torch.linalg.eigvals");
      })
      .grad(
          "self",
          "self eigenvalues eigenvectors",
          [](const TensorList& grads,
             const Tensor& self,
             const Tensor& l,
             const Tensor& v) {
            return TensorList{eig_grad(grads, self, l, v)};
          })
      .doc("Eigenvalues and, if asked for, vectors of square matrices.");
  op("linalg_eig(Tensor self) -> (Tensor eigenvalues, Tensor eigenvectors)")
      .module("linalg")
      .forms("function out")
      .exact_out(
          "%ctorch.linalg.eig/eigenvalues|%ctorch.linalg.eig/eigenvectors")
      .refuse(kHalves, "linalg_eig_out_cpu")
      .composite([](const Tensor& self) {
        check_shape(self, "linalg.eig");
        return _linalg_eig(self, true);
      })
      .doc("Eigenvalues and vectors of square matrices.");
  op("linalg_eigvals(Tensor self) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%ctorch.linalg.eigvals/eigenvalues")
      .refuse(kHalves, "linalg_eig_out_cpu")
      .composite([](const Tensor& self) {
        check_shape(self, "linalg.eigvals");
        bool vectors = is_differentiated(self);
        return std::get<0>(_linalg_eig(self, vectors));
      })
      .doc("Eigenvalues of square matrices.");
}

} // namespace flashlight
