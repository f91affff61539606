// Diagonals and triangles of matrices, and matrices made of them.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/ops/complex128.h"
#include "flashlight/ops/creation.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/triangular.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// The part of matrices on one side of a diagonal, zeros elsewhere.
mx::array banded(const mx::array& self, bool lower, int64_t diagonal) {
  int rows = self.shape(-2), columns = self.shape(-1);
  // Beyond the corners all diagonals are alike.
  auto d = static_cast<int>(
      std::clamp<int64_t>(diagonal, -int64_t{rows} - 1, int64_t{columns} + 1));
  mx::array row = mx::reshape(mx::arange(rows), {rows, 1});
  mx::array limit = mx::add(row, mx::array(d));
  mx::array column = mx::arange(columns);
  mx::array keep =
      lower ? mx::less_equal(column, limit) : mx::greater_equal(column, limit);
  return mx::where(keep, self, mx::zeros_like(self));
}

void check_matrix(const char* name, const Tensor& self) {
  FL_CHECK(
      self.dim() >= 2, name, ": input tensor must have at least 2 dimensions");
}

// Rows and columns of the elements of one side of a diagonal, by rows.
Tensor band_indices(
    bool lower,
    int64_t row,
    int64_t column,
    int64_t offset,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  FL_CHECK(row >= 0, "row must be non-negative, got", row);
  FL_CHECK(column >= 0, "col must be non-negative, got", column);
  Device on = check_options(layout, device, pin_memory);
  std::vector<int64_t> rows, columns;
  for (int64_t i = 0; i < row; ++i) {
    int64_t begin = lower ? 0 : std::max<int64_t>(i + offset, 0);
    int64_t end = lower ? std::min(i + offset + 1, column) : column;
    for (int64_t j = begin; j < end; ++j) {
      rows.push_back(i);
      columns.push_back(j);
    }
  }
  auto n = static_cast<mx::ShapeElem>(rows.size());
  rows.insert(rows.end(), columns.begin(), columns.end());
  mx::array both(rows.data(), {2, n}, mx::int64);
  return Tensor(
      mx::astype(both, to_mlx(dtype.value_or(Dtype::Int64))),
      contiguous_strides({2, n}),
      on);
}

template <bool lower>
Tensor band_indices_kernel(
    int64_t row,
    int64_t col,
    int64_t offset,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  return band_indices(
      lower, row, col, offset, dtype, layout, device, pin_memory);
}

Tensor eye_kernel(
    int64_t n,
    int64_t m,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory) {
  FL_CHECK(n >= 0, "n must be greater or equal to 0, got ", n);
  FL_CHECK(m >= 0, "m must be greater or equal to 0, got ", m);
  Device on = check_options(layout, device, pin_memory);
  Dtype made = dtype.value_or(default_dtype());
  check_storable(made);
  auto rows = static_cast<int>(n), columns = static_cast<int>(m);
  mx::array same =
      mx::equal(mx::reshape(mx::arange(rows), {rows, 1}), mx::arange(columns));
  return copied(Tensor(same), made, contiguous_strides(IntList{n, m}), on);
}

Tensor
powers(const Tensor& x, const std::optional<int64_t>& count, bool increasing) {
  FL_CHECK(x.dim() == 1, "x must be a one-dimensional tensor.");
  int64_t n = count.value_or(x.size(0));
  FL_CHECK(n >= 0, "N must be non-negative.");
  Dtype dtype = promote_types(x.dtype(), Dtype::Int64);
  if (n == 0) {
    return zeros({x.size(0), 0}, dtype, {}, x.device());
  }
  TensorList columns{ones({x.size(0)}, dtype, {}, x.device())};
  while (static_cast<int64_t>(columns.size()) < n) {
    columns.push_back(columns.back() * x);
  }
  if (!increasing) {
    std::reverse(columns.begin(), columns.end());
  }
  return stack(columns, 1);
}

} // namespace

void register_triangular() {
  op("tril(Tensor self, SymInt diagonal=0) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .check([](const Tensor& self, int64_t) { check_matrix("tril", self); })
      .kernel([](const mx::array& self, int64_t diagonal) {
        return banded(self, true, diagonal);
      })
      .complex128(parts())
      .grad(
          "self",
          "diagonal",
          [](const Tensor& grad, int64_t diagonal) {
            return tril(grad, diagonal);
          })
      .doc("The part of matrices on and below a diagonal, zeros elsewhere.");
  op("triu(Tensor self, SymInt diagonal=0) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .check([](const Tensor& self, int64_t) { check_matrix("triu", self); })
      .kernel([](const mx::array& self, int64_t diagonal) {
        return banded(self, false, diagonal);
      })
      .complex128(parts())
      .grad(
          "self",
          "diagonal",
          [](const Tensor& grad, int64_t diagonal) {
            return triu(grad, diagonal);
          })
      .doc("The part of matrices on and above a diagonal, zeros elsewhere.");
  op("tril_indices(int row, int col, int offset=0, *, ScalarType? dtype=long, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function")
      .kernel(band_indices_kernel<true>)
      .not_differentiable()
      .doc("Rows and columns of what lies on and below a diagonal.");
  op("triu_indices(int row, int col, int offset=0, *, ScalarType? dtype=long, "
     "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
     "Tensor")
      .forms("function")
      .kernel(band_indices_kernel<false>)
      .not_differentiable()
      .doc("Rows and columns of what lies on and above a diagonal.");
  op("eye(SymInt n, *, ScalarType? dtype=None, Layout? layout=None, Device? "
     "device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel([](int64_t n,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin_memory) {
        return eye_kernel(n, n, dtype, layout, device, pin_memory);
      })
      .complex128(itself())
      .not_differentiable()
      .doc("A matrix with ones on the diagonal and zeros elsewhere.");
  op("eye.m(SymInt n, SymInt m, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function out")
      .kernel(eye_kernel)
      .complex128(itself())
      .not_differentiable()
      .doc("A matrix with ones on the diagonal and zeros elsewhere.");
  op("diag(Tensor self, int diagonal=0) -> Tensor")
      .forms("function method out")
      .exact_out()
      .composite([](const Tensor& self, int64_t diagonal) {
        FL_CHECK(
            self.dim() == 1 || self.dim() == 2,
            "diag(): Supports 1D or 2D tensors. Got ",
            self.dim(),
            "D");
        return self.dim() == 1 ? diag_embed(self, diagonal)
                               : diagonal_copy(self, diagonal);
      })
      .doc("A matrix with this diagonal; or the diagonal of a matrix.");
  op("diagflat(Tensor self, int offset=0) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self, int64_t offset) {
        return diag_embed(reshape(self, {-1}), offset);
      })
      .doc("A matrix with all elements on a diagonal.");
  op("vander(Tensor x, int? N=None, bool increasing=False) -> Tensor")
      .forms("function")
      .composite(powers)
      .doc("Powers of a vector's elements, a power a column.");
}

} // namespace flashlight
