// Products of matrices and vectors.
#include <mlx/ops.h>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// The C++ type's name, as error texts of matrix products have it.
std::string_view c_name(Dtype d) {
  switch (d) {
    case Dtype::Float64:
      return "double";
    case Dtype::Float16:
      return "c10::Half";
    case Dtype::BFloat16:
      return "c10::BFloat16";
    case Dtype::Float32:
      return "float";
    case Dtype::Complex64:
      return "c10::complex<float>";
    case Dtype::Int64:
      return "long int";
    case Dtype::Int32:
      return "int";
    default:
      return name(d);
  }
}

} // namespace

void register_linalg() {
  op("mm(Tensor self, Tensor mat2) -> Tensor")
      .forms("function method out")
      .autocast(Autocast::Lower)
      .kernel([](const Tensor& self, const Tensor& mat2) {
        FL_CHECK(self.dim() == 2, "self must be a matrix");
        FL_CHECK(mat2.dim() == 2, "mat2 must be a matrix");
        FL_CHECK(
            self.sizes()[1] == mat2.sizes()[0],
            "mat1 and mat2 shapes cannot be multiplied (",
            self.sizes()[0],
            "x",
            self.sizes()[1],
            " and ",
            mat2.sizes()[0],
            "x",
            mat2.sizes()[1],
            ")");
        FL_CHECK(
            self.dtype() == mat2.dtype(),
            "expected m1 and m2 to have the same dtype, but got: ",
            c_name(self.dtype()),
            " != ",
            c_name(mat2.dtype()));
        FL_CHECK_AS(
            NotImplementedError,
            self.is_floating_point() || self.is_complex(),
            "mm of integers is not supported");
        return mx::matmul(self.value(), mat2.value());
      })
      .grad(
          "self",
          "mat2",
          [](const Tensor& grad, const Tensor& mat2) {
            return mm(grad, conj(t(mat2)));
          })
      .grad(
          "mat2",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return mm(conj(t(self)), grad);
          })
      .doc("The product of two matrices.");
}

} // namespace flashlight
