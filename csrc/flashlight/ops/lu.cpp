// Factorizations with a permutation, and what they solve: P A = L U, L D L^T.
#include <algorithm>
#include <numeric>

#include <mlx/ops.h>

#include "flashlight/ops/batches.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/lu.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/scatter.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/triangular.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

void check_matrices(const Tensor& a, std::string_view name) {
  FL_CHECK(
      a.dim() >= 2,
      name,
      ": Expected tensor with 2 or more dimensions. Got size: ",
      a.sizes(),
      " instead");
}

void check_pivot(bool pivot) {
  FL_CHECK(
      pivot,
      "linalg.lu_factor: LU without pivoting is not implemented on the CPU");
}

void check_singular(const Tensor& info, std::string_view name) {
  std::vector<int> codes = load_ints(outside_levels(info).value());
  for (size_t k = 0; k < codes.size(); ++k) {
    FL_CHECK(
        codes[k] == 0,
        name,
        ": ",
        info.dim() ? detail::concat("(Batch element ", k, "): ") : "",
        "U[",
        codes[k],
        ",",
        codes[k],
        "] is zero and using it on lu_solve would result in a division by "
        "zero. If you still want to perform the factorization, consider "
        "calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)");
  }
}

std::tuple<mx::array, mx::array, mx::array> lu_kernel(const mx::array& given) {
  return in_double(given, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(given);
    int k = std::min(a.rows, a.columns);
    Batch<int> pivots(a.count, k, 1);
    std::vector<int> info(a.count);
    for (size_t i = 0; i < a.count && a.each(); ++i) {
      info[i] = factor_lu(a.rows, a.columns, a.at(i), pivots.at(i));
    }
    mx::Shape batch = batch_shape(given), flat = batch;
    flat.push_back(k);
    return std::tuple(
        store_batch(a, batch, given.dtype()),
        store_ints(pivots.data, flat),
        store_ints(info, batch));
  });
}

// Where each row of P^T A comes from (or each of P A, if `back`).
std::vector<int64_t>
order_of(const int* pivots, int64_t count, int64_t rows, bool back) {
  std::vector<int64_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = 0; i < count; ++i) {
    std::swap(
        order[static_cast<size_t>(i)],
        order[static_cast<size_t>(pivots[i] - 1)]);
  }
  if (!back) {
    return order;
  }
  std::vector<int64_t> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  }
  return inverse;
}

// ... of a batch: (..., rows) of int64.
mx::array
orders(const mx::array& pivots, int rows, bool back, std::string_view text) {
  std::vector<int> all = load_ints(pivots);
  int count = pivots.shape(-1);
  for (int p : all) {
    FL_CHECK(p >= 1 && p <= rows, text);
  }
  mx::Shape shape = pivots.shape();
  size_t batch = product_of(shape, shape.size() - 1);
  shape.back() = rows;
  std::vector<int64_t> out;
  out.reserve(batch * static_cast<size_t>(rows));
  for (size_t k = 0; k < batch; ++k) {
    const int* first = all.data() + k * static_cast<size_t>(count);
    std::vector<int64_t> one = order_of(first, count, rows, back);
    out.insert(out.end(), one.begin(), one.end());
  }
  return mx::array(out.data(), shape, mx::int64);
}

// x with its rows in that order.
Tensor reordered(const Tensor& x, const mx::array& order) {
  Tensor index = expand(constant(mx::expand_dims(order, -1), x), x.sizes());
  return gather(x, -2, index);
}

Tensor unit_of(const Tensor& like, int64_t rows, int64_t columns) {
  return eye(rows, columns, like.dtype(), {}, like.device());
}

std::pair<Tensor, Tensor> factors(const Tensor& lu) {
  int64_t m = lu.size(-2), n = lu.size(-1), k = std::min(m, n);
  Tensor lower = tril(slice(lu, -1, 0, k), -1) + unit_of(lu, m, k);
  return {lower, triu(slice(lu, -2, 0, k))};
}

// The gradient of P^T A, with X = L^-1 P^T dA U^-1 of the leading square:
// dL = L tril(X, -1), dU = triu(X) U; the rest of a wide U is
// L^-1 (P^T dA - dL U), that of a tall L is (P^T dA - L dU) U^-1.
Tensor permuted_grad(const Tensor& grad, const Tensor& lu) {
  int64_t m = lu.size(-2), n = lu.size(-1), k = std::min(m, n);
  auto [lower, upper] = factors(lu);
  Tensor gl = tril(slice(grad, -1, 0, k), -1), gu = triu(slice(grad, -2, 0, k));
  Tensor l = slice(lower, -2, 0, k), u = slice(upper, -1, 0, k);
  Tensor l1 = slice(gl, -2, 0, k), u1 = slice(gu, -1, 0, k);
  Tensor below = matmul(mH(l), l1), above = matmul(u1, mH(u));
  if (n > k) {
    Tensor rest = slice(gu, -1, k, n);
    below = below - matmul(rest, mH(slice(upper, -1, k, n)));
  }
  if (m > k) {
    Tensor rest = slice(gl, -2, k, m);
    above = above - matmul(mH(slice(lower, -2, k, m)), rest);
  }
  auto from_left = [&](const Tensor& x) { // L^-H x
    return linalg_solve_triangular(mH(l), x, true, true, true);
  };
  auto from_right = [&](const Tensor& x) { // x U^-H
    return linalg_solve_triangular(mH(u), x, false, false);
  };
  Tensor out = from_left(from_right(tril(below, -1) + triu(above)));
  if (n > k) {
    out = cat({out, from_left(slice(gu, -1, k, n))}, -1);
  }
  if (m > k) {
    out = cat({out, from_right(slice(gl, -2, k, m))}, -2);
  }
  return out;
}

constexpr std::string_view kBadPivots =
    "pivots passed to lu_unpack must be between 1 and LU.size(-2) "
    "inclusive.Did you properly pass the result of lu_factor?";

std::tuple<Tensor, Tensor, Tensor>
unpacked(const Tensor& lu, const Tensor& pivots, bool data, bool permutation) {
  constexpr std::string_view name = "torch.lu_unpack";
  FL_CHECK(
      !permutation || pivots.dtype() == Dtype::Int32,
      name,
      ": LU_pivots is expected to be a contiguous tensor of torch.int32 "
      "dtype.\nNote: this function is intended to be used with the output "
      "produced by torch.linalg.lu_factor");
  check_matrices(lu, name);
  Tensor none = zeros({0}, lu.dtype(), {}, lu.device());
  Tensor p = none, l = none, u = none;
  if (data) {
    std::tie(l, u) = factors(lu);
  }
  if (permutation) {
    int m = static_cast<int>(lu.size(-2));
    // Row i of P has its one where P^T takes row i from.
    mx::array order = orders(pivots.value(), m, true, kBadPivots);
    mx::array hit =
        mx::equal(mx::expand_dims(order, -1), mx::arange(0, m, mx::int64));
    mx::Shape shape = to_shape(lu.sizes());
    shape.back() = m;
    p = _to_copy(constant(mx::broadcast_to(hit, shape), lu), lu.dtype());
  }
  return {p, l, u};
}

Tensor solved_by_lu(
    const Tensor& lu,
    const Tensor& pivots,
    const Tensor& b,
    bool left,
    bool adjoint) {
  constexpr std::string_view name = "linalg.lu_solve";
  FL_CHECK(
      lu.dtype() == b.dtype(),
      name,
      ": Expected LU and B to have the same dtype, but found LU of type ",
      scalar_name(lu.dtype()),
      " and B of type ",
      scalar_name(b.dtype()),
      " instead");
  FL_CHECK(
      pivots.dtype() == Dtype::Int32,
      name,
      ": pivots should be a Tensor of scalar type torch.int32");
  check_square(lu, "torch.linalg.lu_solve");
  FL_CHECK(
      b.dim() >= 2,
      name,
      ": The input tensor B must have at least 2 dimensions.");
  FL_CHECK(
      lu.size(-1) == b.size(left ? -2 : -1),
      name,
      ": Incompatible shapes of A and B for the equation ",
      left ? "AX = B" : "XA = B",
      " (",
      lu.size(-2),
      "x",
      lu.size(-1),
      " and ",
      b.size(-2),
      "x",
      b.size(-1),
      ")");
  FL_CHECK(
      pivots.dim() > 0 && lu.size(-1) == pivots.size(-1),
      name,
      ": Number of pivots per batch should be same as the dimension of the "
      "matrix");
  FL_CHECK(
      pivots.sizes() == IntList(lu.sizes().begin(), lu.sizes().end() - 1),
      name,
      ": Expected LU.shape[:-1] and pivots.shape to be the same, but got "
      "pivots with shape ",
      pivots.sizes(),
      " instead");
  if (!left) { // X A = B is A^H X^H = B^H
    return mH(solved_by_lu(lu, pivots, mH(b), true, !adjoint));
  }
  IntList sizes = broadcast_sizes(
      IntList(lu.sizes().begin(), lu.sizes().end() - 2),
      IntList(b.sizes().begin(), b.sizes().end() - 2));
  sizes.push_back(b.size(-2));
  sizes.push_back(b.size(-1));
  Tensor x = expand(b, sizes);
  mx::array order = orders(
      pivots.value(),
      static_cast<int>(lu.size(-2)),
      adjoint,
      "Pivots given to lu_solve must all be smaller or equal to LU.size(-2). "
      "Did you properly pass the result of lu_factor?");
  if (adjoint) {
    x = linalg_solve_triangular(mH(lu), x, false);
    x = linalg_solve_triangular(mH(lu), x, true, true, true);
    return reordered(x, order);
  }
  x = linalg_solve_triangular(lu, reordered(x, order), false, true, true);
  return linalg_solve_triangular(lu, x, true);
}

// --- L D L^T -----------------------------------------------------------------

std::tuple<mx::array, mx::array, mx::array> ldl_kernel(
    const mx::array& given,
    bool hermitian) {
  check_square(given, "torch.linalg.ldl_factor_ex");
  return in_double(given, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(given);
    Batch<int> pivots(a.count, a.rows, 1);
    std::vector<int> info(a.count);
    for (size_t k = 0; k < a.count && a.each(); ++k) {
      info[k] = lapack::sytrf(hermitian, a.rows, a.at(k), pivots.at(k));
    }
    mx::Shape batch = batch_shape(given), flat = batch;
    flat.push_back(a.rows);
    mx::array ld = store_batch(a, batch, given.dtype());
    return std::tuple(
        mx::tril(ld), store_ints(pivots.data, flat), store_ints(info, batch));
  });
}

void check_ldl(const Tensor& info, std::string_view name) {
  check_info(info, name, [](int code) {
    return detail::concat(
        "The factorization has been completed, but the diagonal element ",
        code,
        " of D is exactly zero.");
  });
}

mx::array ldl_solved(
    const Tensor& ld,
    const Tensor& pivots,
    const Tensor& b,
    bool hermitian) {
  constexpr std::string_view name = "torch.linalg.ldl_solve";
  check_square(ld, name);
  FL_CHECK_INDEX(
      b.dim() >= 2,
      "Dimension out of range (expected to be in range of [-1, 0], but got "
      "-2)");
  FL_CHECK(
      b.size(-2) == ld.size(-1),
      "Incompatible matrix sizes for ",
      name,
      ": each A matrix is ",
      ld.size(-1),
      " by ",
      ld.size(-1),
      " but each b matrix is ",
      b.size(-2),
      " by ",
      b.size(-1));
  FL_CHECK(
      pivots.sizes() == IntList(ld.sizes().begin(), ld.sizes().end() - 1),
      name,
      ": Expected LD.shape[:-1] and pivots.shape to be the same, but got "
      "pivots with shape ",
      pivots.sizes(),
      " instead");
  FL_CHECK(
      is_integral(pivots.dtype(), false),
      name,
      ": Expected pivots to be integers. Got ",
      scalar_name(pivots.dtype()));
  FL_CHECK(
      ld.dtype() == b.dtype(),
      "Expected b and A to have the same dtype, but found b of type ",
      scalar_name(b.dtype()),
      " and A of type ",
      scalar_name(ld.dtype()),
      " instead.");
  mx::Shape batch = to_shape(broadcast_sizes(
      IntList(ld.sizes().begin(), ld.sizes().end() - 2),
      IntList(b.sizes().begin(), b.sizes().end() - 2)));
  auto widened_to = [&](const mx::array& x, size_t last) {
    mx::Shape shape = batch;
    shape.insert(
        shape.end(),
        x.shape().end() - static_cast<std::ptrdiff_t>(last),
        x.shape().end());
    return mx::broadcast_to(x, shape);
  };
  mx::array factor = widened_to(ld.value(), 2),
            right = widened_to(b.value(), 2);
  std::vector<int> swaps = load_ints(widened_to(pivots.value(), 1));
  if (right.size() == 0) {
    return right;
  }
  int n = static_cast<int>(ld.size(-1));
  for (int p : swaps) {
    FL_CHECK(
        p != 0 && std::abs(p) <= n,
        name,
        ": pivots must be between 1 and the size of the matrix, or negative");
  }
  return in_double(factor, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(factor), x = load_batch<T>(right);
    for (size_t k = 0; k < a.count; ++k) {
      lapack::sytrs(
          hermitian,
          n,
          x.columns,
          a.at(k),
          swaps.data() + k * static_cast<size_t>(n),
          x.at(k));
    }
    return store_batch(x, batch, b.value().dtype());
  });
}

} // namespace

void register_lu() {
  op("linalg_lu_factor_ex(Tensor A, *, bool pivot=True, bool "
     "check_errors=False) -> (Tensor LU, Tensor pivots, Tensor info)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .node("LinalgLuFactorExBackward0")
      .refuse(kImprecise, "lu_cpu")
      .check([](const Tensor& a, bool pivot) {
        check_matrices(a, "torch.lu_factor");
        check_pivot(pivot);
      })
      .kernel([](const mx::array& a, bool, bool check_errors) {
        auto [lu, pivots, info] = lu_kernel(a);
        if (check_errors) {
          check_singular(Tensor(info), "torch.linalg.lu_factor_ex");
        }
        return std::tuple(lu, pivots, info);
      })
      .grad(
          "A",
          "LU pivots",
          [](const TensorList& grads, const Tensor& lu, const Tensor& pivots) {
            if (lu.numel() == 0) {
              return TensorList{zeros_like(lu)};
            }
            int rows = static_cast<int>(lu.size(-2));
            return TensorList{reordered(
                permuted_grad(grads[0], lu),
                orders(pivots.value(), rows, true, kBadPivots))};
          })
      .doc("L and U of matrices in one, the pivots, and error codes.");
  op("linalg_lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor "
     "pivots)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& a, bool pivot) {
        auto [lu, pivots, info] = linalg_lu_factor_ex(a, pivot);
        check_singular(info, "torch.linalg.lu_factor");
        return std::tuple(lu, pivots);
      })
      .doc("L and U of matrices in one, and the pivots.");
  op("_lu_with_info(Tensor self, bool pivot=True, bool check_errors=True) -> "
     "(Tensor LU, Tensor pivots, Tensor info)")
      .forms("function")
      // check_errors is there for old programs: PyTorch does not look at it.
      .composite([](const Tensor& self, bool pivot, bool) {
        return linalg_lu_factor_ex(self, pivot);
      })
      .doc("L and U of matrices in one, the pivots, and error codes.");
  op("linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor "
     "U)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& a, bool pivot) {
        check_matrices(a, "linalg.lu");
        auto [lu, pivots, info] = linalg_lu_factor_ex(a, pivot);
        return unpacked(lu, pivots, true, true);
      })
      .doc("P, L and U of A = P L U.");
  op("lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool "
     "unpack_pivots=True) -> (Tensor P, Tensor L, Tensor U)")
      .forms("function out")
      .exact_out()
      .composite(unpacked)
      .doc("P, L and U of what lu_factor gives.");
  op("linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, "
     "bool adjoint=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite(solved_by_lu)
      .doc("X of A X = B, A given by what lu_factor gives.");
  op("lu_solve(Tensor self, Tensor LU_data, Tensor LU_pivots) -> Tensor")
      .forms("function method out")
      .exact_out()
      .composite([](const Tensor& self,
                    const Tensor& LU_data,
                    const Tensor& LU_pivots) {
        return solved_by_lu(LU_data, LU_pivots, self, true, false);
      })
      .doc("X of A X = self, A given by what lu_factor gives.");
  op("linalg_ldl_factor_ex(Tensor self, *, bool hermitian=False, bool "
     "check_errors=False) -> (Tensor LD, Tensor pivots, Tensor info)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .kernel([](const mx::array& self, bool hermitian, bool check_errors) {
        auto [ld, pivots, info] = ldl_kernel(self, hermitian);
        if (check_errors) {
          check_ldl(Tensor(info), "torch.linalg.ldl_factor_ex");
        }
        return std::tuple(ld, pivots, info);
      })
      .no_derivative()
      .doc("L D L^T of symmetric matrices, and error codes.");
  op("linalg_ldl_factor(Tensor self, *, bool hermitian=False) -> (Tensor LD, "
     "Tensor pivots)")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& self, bool hermitian) {
        auto [ld, pivots, info] = linalg_ldl_factor_ex(self, hermitian);
        check_ldl(info, "torch.linalg.ldl_factor");
        return std::tuple(ld, pivots);
      })
      .doc("L D L^T of symmetric matrices.");
  op("linalg_ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool "
     "hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .kernel(ldl_solved)
      .no_derivative()
      .doc("X of A X = B, A given by what ldl_factor gives.");
}

} // namespace flashlight
