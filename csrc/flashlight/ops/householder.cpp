// Orthogonal matrices as products of Householder reflectors.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/ops/backward.h"
#include "flashlight/ops/batches.h"
#include "flashlight/ops/functions/householder.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/padding.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/triangular.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

std::tuple<mx::array, mx::array> geqrf_kernel(const mx::array& self) {
  return in_double(self, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(self);
    Batch<T> tau(a.count, std::min(a.rows, a.columns), 1);
    for (size_t k = 0; k < a.count && a.each(); ++k) {
      lapack::geqrf(a.rows, a.columns, a.at(k), tau.at(k));
    }
    mx::Shape batch = batch_shape(self), flat = batch;
    flat.push_back(tau.rows);
    return std::tuple(
        store_batch(a, batch, self.dtype()),
        store(tau.data, flat, self.dtype()));
  });
}

std::string shown(const Tensor& t, int64_t drop) {
  std::string out = "[";
  for (int64_t d = 0; d < t.dim() - drop; ++d) {
    out += (d ? ", " : "") + std::to_string(t.size(d));
  }
  return out + "]";
}

bool same_batch(const Tensor& input, const Tensor& other, int64_t drop) {
  for (int64_t d = 0; d < input.dim() - 2; ++d) {
    if (input.size(d) != other.size(d)) {
      return false;
    }
  }
  return other.dim() - drop == input.dim() - 2;
}

void check_product(const Tensor& input, const Tensor& tau) {
  constexpr std::string_view name = "torch.linalg.householder_product";
  FL_CHECK(input.dim() >= 2, name, ": input must have at least 2 dimensions.");
  FL_CHECK(
      input.size(-2) >= input.size(-1),
      name,
      ": input.shape[-2] must be greater than or equal to input.shape[-1]");
  FL_CHECK(
      tau.dim() > 0 && input.size(-1) >= tau.size(-1),
      name,
      ": input.shape[-1] must be greater than or equal to tau.shape[-1]");
  FL_CHECK(
      input.dim() - tau.dim() == 1,
      name,
      ": Expected tau to have one dimension less than input, but got tau.ndim "
      "equal to ",
      tau.dim(),
      " and input.ndim is equal to ",
      input.dim());
  FL_CHECK(
      same_batch(input, tau, 1),
      name,
      ": Expected batch dimensions of tau to be equal to input.shape[:-2], "
      "but got ",
      shown(tau, 1));
  FL_CHECK(
      tau.dtype() == input.dtype(),
      name,
      ": tau dtype ",
      scalar_name(tau.dtype()),
      " does not match input dtype ",
      scalar_name(input.dtype()));
}

mx::array product_kernel(const mx::array& input, const mx::array& tau) {
  if (input.size() == 0) {
    return input;
  }
  return in_double(input, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(input);
    std::vector<T> factors = load<T>(tau);
    int n = tau.shape(-1);
    for (size_t k = 0; k < a.count; ++k) {
      lapack::orgqr(
          a.rows,
          a.columns,
          n,
          a.at(k),
          factors.data() + k * static_cast<size_t>(n));
    }
    return store_batch(a, batch_shape(input), input.dtype());
  });
}

void check_multiplied(
    const Tensor& input,
    const Tensor& tau,
    const Tensor& other,
    bool left) {
  constexpr std::string_view name = "torch.ormqr";
  FL_CHECK(input.dim() >= 2, name, ": input must have at least 2 dimensions.");
  FL_CHECK(other.dim() >= 2, name, ": other must have at least 2 dimensions.");
  int64_t side = left ? -2 : -1;
  FL_CHECK(
      other.size(side) == input.size(-2),
      name,
      ": other.shape[",
      side,
      "] must be equal to input.shape[-2]");
  FL_CHECK(
      tau.size(-1) == std::min(other.size(side), input.size(-1)),
      name,
      ": tau.shape[-1] must be equal to min(other.shape[",
      side,
      "], input.shape[-1])");
  FL_CHECK(
      input.dim() - tau.dim() == 1,
      name,
      ": Expected tau to have one dimension less than input, but got tau.ndim "
      "equal to ",
      tau.dim(),
      " and input.ndim is equal to ",
      input.dim());
  FL_CHECK(
      input.dim() == other.dim(),
      name,
      ": Expected other to have the same number of dimensions as input, but "
      "got other.ndim equal to ",
      other.dim(),
      " and input.ndim is equal to ",
      input.dim());
  FL_CHECK(
      same_batch(input, tau, 1),
      name,
      ": Expected batch dimensions of tau to be equal to input.shape[:-2], "
      "but got ",
      shown(tau, 1));
  FL_CHECK(
      same_batch(input, other, 2),
      name,
      ": Expected batch dimensions of other to be equal to input.shape[:-2], "
      "but got ",
      shown(other, 2));
  for (auto [t, what] : {std::pair(&tau, "tau"), {&other, "other"}}) {
    FL_CHECK(
        t->dtype() == input.dtype(),
        name,
        ": Expected input and ",
        what,
        " to have the same dtype, but input has dtype",
        scalar_name(input.dtype()),
        " and ",
        what,
        " has dtype ",
        scalar_name(t->dtype()));
  }
}

mx::array multiplied_kernel(
    const mx::array& input,
    const mx::array& tau,
    const mx::array& other,
    bool left,
    bool transpose) {
  if (other.size() == 0) {
    return other;
  }
  return in_double(input, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(input), c = load_batch<T>(other);
    std::vector<T> factors = load<T>(tau);
    int n = tau.shape(-1);
    for (size_t k = 0; k < a.count; ++k) {
      lapack::ormqr(
          left,
          transpose,
          c.rows,
          c.columns,
          n,
          a.at(k),
          factors.data() + k * static_cast<size_t>(n),
          c.at(k));
    }
    return store_batch(c, batch_shape(other), other.dtype());
  });
}

// --- derivatives -------------------------------------------------------------

// Of H_1 ... H_k E, H_i = I - tau_i v_i v_i^H, v the columns of `input` below
// its diagonal and ones on it, with respect to `input` and tau. With `adjoint`,
// of H_k^H ... H_1^H E.
//
// The gradient of H_i is K = (H_1 ... H_{i-1})^H grad (H_{i+1} ... H_k E)^H;
// that of tau_i is -v^H K v, that of v_i -conj(tau) K v - tau K^H v.
TensorList reflector_grads(
    const Tensor& grad,
    const Tensor& input,
    const Tensor& tau,
    const Tensor& e,
    bool adjoint) {
  int64_t m = input.size(-2), n = input.size(-1), k = tau.size(-1);
  mx::array ones = mx::eye(
      static_cast<int>(m), static_cast<int>(k), 0, to_mlx(input.dtype()));
  Tensor v = tril(slice(input, -1, 0, k), -1) + constant(ones, input);
  TensorList vectors, factors;
  for (int64_t i = 0; i < k; ++i) {
    int64_t at = adjoint ? k - 1 - i : i;
    vectors.push_back(slice(v, -1, at, at + 1));
    Tensor factor = unsqueeze(slice(tau, -1, at, at + 1), -1);
    factors.push_back(adjoint ? conj(factor) : factor);
  }
  auto reflected = [](const Tensor& x, const Tensor& v, const Tensor& factor) {
    return x - matmul(v * factor, matmul(mH(v), x));
  };
  // What is to the right of each reflector.
  TensorList right(static_cast<size_t>(k));
  Tensor x = e;
  for (auto i = static_cast<size_t>(k); i-- > 0;) {
    right[i] = x;
    x = reflected(x, vectors[i], factors[i]);
  }
  TensorList of_vectors(static_cast<size_t>(k)), of_factors = of_vectors;
  Tensor g = grad;
  for (size_t i = 0; i < of_vectors.size(); ++i) {
    const Tensor& u = vectors[i];
    Tensor a = matmul(mH(right[i]), u), b = matmul(mH(g), u);
    Tensor forward = matmul(g, a), back = matmul(right[i], b);
    Tensor of_factor = -matmul(mH(u), forward);
    Tensor of_vector = -(conj(factors[i]) * forward + factors[i] * back);
    size_t at = adjoint ? of_vectors.size() - 1 - i : i;
    of_vectors[at] = of_vector;
    of_factors[at] = squeeze(adjoint ? conj(of_factor) : of_factor, -1);
    g = reflected(g, u, conj(factors[i]));
  }
  Tensor of_input = tril(cat(of_vectors, -1), -1);
  if (n > k) {
    of_input = constant_pad_nd(of_input, {0, n - k});
  }
  return {of_input, cat(of_factors, -1)};
}

TensorList
product_grad(const Tensor& grad, const Tensor& input, const Tensor& tau) {
  if (input.numel() == 0 || tau.numel() == 0) {
    return {Tensor(), Tensor()};
  }
  mx::array eye = mx::eye(
      static_cast<int>(input.size(-2)),
      static_cast<int>(input.size(-1)),
      0,
      to_mlx(input.dtype()));
  Tensor e = expand(constant(eye, input), input.sizes());
  return reflector_grads(grad, input, tau, e, false);
}

TensorList multiplied_grad(
    const Tensor& grad,
    const Tensor& input,
    const Tensor& tau,
    const Tensor& other,
    bool left,
    bool transpose) {
  if (other.numel() == 0 || tau.numel() == 0) {
    return {Tensor(), Tensor()};
  }
  // C Q is (Q^H C^H)^H.
  return left ? reflector_grads(grad, input, tau, other, transpose)
              : reflector_grads(mH(grad), input, tau, mH(other), !transpose);
}

} // namespace

void register_householder() {
  op("geqrf(Tensor self) -> (Tensor a, Tensor tau)")
      .forms("function method out")
      .exact_out("%ctorch.geqrf/a|%ctorch.geqrf/tau")
      .refuse(kImprecise, "geqrf_cpu")
      .check([](const Tensor& self) {
        FL_CHECK(
            self.dim() >= 2,
            "torch.geqrf: input must have at least 2 dimensions.");
      })
      .kernel(geqrf_kernel)
      .grad(
          "self",
          "",
          [](const TensorList&) -> TensorList {
            fail<NotImplementedError>(
                "the derivative for 'geqrf' is not implemented.");
          })
      .doc(
          "R, and the reflectors whose product is Q: what ormqr and "
          "linalg.householder_product take.");
  op("linalg_householder_product(Tensor input, Tensor tau) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%ctorch.linalg.householder_product")
      .refuse(kImprecise, "orgqr_cpu")
      .check(check_product)
      .kernel(product_kernel)
      .grad("input tau", "input tau", product_grad)
      .doc("The first columns of a product of Householder reflectors.");
  alias_op(
      "orgqr(Tensor self, Tensor input2) -> Tensor",
      "linalg_householder_product",
      "function method out");
  op("ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool "
     "transpose=False) -> Tensor")
      .forms("function method out")
      .exact_out(
          "torch.ormqr: Expected input and result to have the same dtype, but "
          "input has dtype%R and result has dtype %O")
      .refuse(kImprecise, "ormqr_cpu")
      .check(check_multiplied)
      .kernel(multiplied_kernel)
      .grad("self input2", "self input2 input3 left transpose", multiplied_grad)
      .grad(
          "input3",
          "self input2 left transpose",
          [](const Tensor& grad,
             const Tensor& self,
             const Tensor& input2,
             bool left,
             bool transpose) {
            return ormqr(self, input2, grad, left, !transpose);
          })
      .doc("A matrix times the product of Householder reflectors.");
}

} // namespace flashlight
