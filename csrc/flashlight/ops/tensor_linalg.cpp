// Linear algebra of tensors by that of matrices, and what is a view.
#include <algorithm>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/scans.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/tensor_linalg.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

int64_t product_from(const IntList& sizes, int64_t from, int64_t to) {
  int64_t n = 1;
  for (int64_t d = from; d < to; ++d) {
    n *= sizes[static_cast<size_t>(d)];
  }
  return n;
}

Tensor tensorinv_of(const Tensor& self, int64_t ind) {
  FL_CHECK(
      ind > 0, "Expected a strictly positive integer for 'ind', but got ", ind);
  const IntList& sizes = self.sizes();
  int64_t first = std::min(ind, self.dim());
  int64_t rows = product_from(sizes, 0, first);
  int64_t columns = product_from(sizes, first, self.dim());
  FL_CHECK(
      rows == columns,
      "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
      "prod(self.shape[:ind]), but got ",
      columns,
      " != ",
      rows);
  IntList turned(sizes.begin() + first, sizes.end());
  turned.insert(turned.end(), sizes.begin(), sizes.begin() + first);
  auto [inverse, info] = linalg_inv_ex(reshape(self, {rows, columns}));
  FL_CHECK_AS(
      LinAlgError,
      info.item().to_int() == 0,
      "Failed to invert the input tensor, because it is singular.");
  return reshape(inverse, turned);
}

Tensor tensorsolve_of(
    const Tensor& self,
    const Tensor& other,
    const std::optional<IntList>& dims) {
  Tensor a = self;
  if (dims) {
    // Those dimensions last.
    IntList order, last;
    for (int64_t d : *dims) {
      last.push_back(wrap_dim(d, self.dim()));
    }
    for (int64_t d = 0; d < self.dim(); ++d) {
      if (std::find(last.begin(), last.end(), d) == last.end()) {
        order.push_back(d);
      }
    }
    order.insert(order.end(), last.begin(), last.end());
    a = permute(self, order);
  }
  const IntList& sizes = a.sizes();
  int64_t first = std::min(other.dim(), a.dim());
  int64_t rows = product_from(sizes, 0, first);
  int64_t columns = product_from(sizes, first, a.dim());
  FL_CHECK(
      rows == columns,
      "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) "
      "== prod(self.shape[:other.ndim]), but got ",
      columns,
      " != ",
      rows);
  Tensor x = linalg_solve(reshape(a, {rows, columns}), reshape(other, {-1}));
  return reshape(x, IntList(sizes.begin() + first, sizes.end()));
}

Tensor vander_of(const Tensor& x, std::optional<int64_t> count) {
  Dtype d = x.dtype();
  FL_CHECK(
      d == Dtype::Float32 || d == Dtype::Float64 || is_complex(d) ||
          is_integral(d, false),
      "linalg.vander supports floating point, complex, and integer tensors, "
      "but got ",
      scalar_name(d));
  Tensor rows = x.dim() == 0 ? unsqueeze(x, -1) : x;
  int64_t n = count.value_or(rows.size(-1));
  FL_CHECK(n > 1, "N must be greater than 1.");
  IntList sizes = rows.sizes();
  sizes.push_back(n - 1);
  Tensor powers = cumprod(expand(unsqueeze(rows, -1), sizes), -1);
  sizes.back() = 1;
  return cat({ones(sizes, powers.dtype(), {}, x.device()), powers}, -1);
}

} // namespace

void register_tensor_linalg() {
  op("linalg_tensorinv(Tensor self, int ind=2) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%ctensorinv")
      .composite(tensorinv_of)
      .doc("The inverse of a tensor, as a map between its dimensions.");
  op("linalg_tensorsolve(Tensor self, Tensor other, int[]? dims=None) -> "
     "Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%ctensorsolve")
      .composite(tensorsolve_of)
      .doc("X of tensordot(A, X, X.dim()) = B.");
  op("linalg_vander(Tensor x, *, SymInt? N=None) -> Tensor")
      .module("linalg")
      .forms("function")
      .composite(vander_of)
      .doc("Powers of vectors' elements, from 0, a power a column.");
  op("linalg_diagonal(Tensor(a) A, *, int offset=0, int dim1=-2, int dim2=-1) "
     "-> Tensor(a)")
      .module("linalg")
      .forms("function")
      .composite(
          [](const Tensor& a, int64_t offset, int64_t dim1, int64_t dim2) {
            return diagonal(a, offset, dim1, dim2);
          })
      .doc("The diagonals of matrices, a view.");
}

} // namespace flashlight
