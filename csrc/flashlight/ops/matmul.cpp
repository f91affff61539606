// Products of matrices and vectors.
#include <mlx/ops.h>

#include "flashlight/kernels/host.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/halves.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

// MLX multiplies matrices of floats only. Unsigned arithmetic wraps as the
// narrower signed types do once cast back.
mx::array integer_product(const mx::array& a, const mx::array& b) {
  mx::Dtype dtype = a.dtype();
  mx::Shape batch_a(a.shape().begin(), a.shape().end() - 2);
  mx::Shape batch_b(b.shape().begin(), b.shape().end() - 2);
  mx::Shape batch = mx::broadcast_shapes(batch_a, batch_b);
  int m = a.shape(-2), k = a.shape(-1), n = b.shape(-1);
  auto whole = [&](const mx::array& x, int rows, int cols) {
    mx::Shape shape = batch;
    shape.push_back(rows);
    shape.push_back(cols);
    return mx::astype(mx::broadcast_to(x, shape), mx::int64);
  };
  mx::Shape shape = batch;
  shape.push_back(m);
  shape.push_back(n);
  auto multiply =
      [m, k, n](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        const auto* x = in[0].data<uint64_t>();
        const auto* y = in[1].data<uint64_t>();
        auto* z = out[0].data<uint64_t>();
        std::fill(z, z + out[0].size(), 0);
        for (size_t left = out[0].size(); left > 0;
             left -= static_cast<size_t>(m) * static_cast<size_t>(n)) {
          for (int i = 0; i < m; ++i, x += k, z += n) {
            for (int l = 0; l < k; ++l) {
              for (int j = 0; j < n; ++j) {
                z[j] += x[l] * y[l * n + j];
              }
            }
          }
          y += k * n;
        }
      };
  return mx::astype(
      host_op(
          "IntegerMatmul",
          {whole(a, m, k), whole(b, k, n)},
          {{shape, mx::int64}},
          multiply)[0],
      dtype);
}

// What every product here is made of: batches of matrices, broadcast.
mx::array gemm(const mx::array& a, const mx::array& b) {
  if (!mx::issubdtype(a.dtype(), mx::inexact)) {
    return integer_product(a, b);
  }
  return mx::matmul(a, b);
}

mx::array times(const mx::array& x, const Scalar& s) {
  return s == Scalar(1) ? x
                        : mx::multiply(x, scalar_array(s, from_mlx(x.dtype())));
}
// The gradient through a factor.
Tensor times(const Tensor& grad, const Scalar& s) {
  return s == Scalar(1)   ? grad
         : s.is_complex() ? grad * Scalar(std::conj(s.to_complex()))
                          : grad * s;
}

// Can `self` be added to a product of these sizes?
void check_expands(const Tensor& self, const IntList& sizes) {
  const IntList& own = self.sizes();
  FL_CHECK(
      own.size() <= sizes.size(),
      "The expanded size of the tensor (",
      sizes.empty() ? 0 : sizes[0],
      ") must match the existing size (",
      own.empty() ? 0 : own[0],
      ") at non-singleton dimension 0.  Target sizes: ",
      sizes,
      ".  Tensor sizes: ",
      own);
  for (size_t i = own.size(); i-- > 0;) {
    size_t d = sizes.size() - own.size() + i;
    FL_CHECK(
        own[i] == sizes[d] || own[i] == 1,
        "The expanded size of the tensor (",
        sizes[d],
        ") must match the existing size (",
        own[i],
        ") at non-singleton dimension ",
        d,
        ".  Target sizes: ",
        sizes,
        ".  Tensor sizes: ",
        own);
  }
}

// beta * self + alpha * x, where a beta of zero does not look at self.
mx::array blend(
    const Tensor& self,
    const mx::array& x,
    const Scalar& beta,
    const Scalar& alpha) {
  check_expands(self, to_int_list(x.shape()));
  mx::array y = times(x, alpha);
  return beta == Scalar(0) ? y : mx::add(times(self.value(), beta), y);
}

// blend() of a @ b: halves are rounded once, after all of it.
mx::array blend_product(
    const Tensor& self,
    const mx::array& a,
    const mx::array& b,
    const Scalar& beta,
    const Scalar& alpha) {
  if (!is_half(a) || a.size() == 0 || b.size() == 0) {
    return blend(self, gemm(a, b), beta, alpha);
  }
  IntList sizes = to_int_list(a.shape());
  sizes.back() = b.shape(-1);
  check_expands(self, sizes);
  mx::array c = beta == Scalar(0) ? mx::zeros({}, a.dtype()) : self.value();
  return mx::addmm(
      mx::broadcast_to(c, to_shape(sizes)),
      a,
      b,
      static_cast<float>(alpha.to_double()),
      static_cast<float>(beta.to_double()));
}

// The same of complex128.
Tensor blended(
    const Tensor& self,
    const Tensor& x,
    const Scalar& beta,
    const Scalar& alpha) {
  Tensor y = alpha == Scalar(1) ? x : x * alpha;
  return beta == Scalar(0) ? y : expand(self, x.sizes()) * beta + y;
}

Tensor matrix_transpose(const Tensor& x) {
  return transpose(x, -2, -1);
}
Tensor adjoint_of(const Tensor& x) {
  return conj(matrix_transpose(x));
}

void check_fit(const Tensor& self, const Tensor& mat2) {
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
}

void check_not_bool(const Tensor& self, const char* name) {
  FL_CHECK_AS(
      NotImplementedError,
      self.dtype() != Dtype::Bool,
      '"',
      name,
      "\" not implemented for 'Bool'");
}

void check_same_dtype(const Tensor& a, const Tensor& b, const char* names) {
  FL_CHECK(
      a.dtype() == b.dtype(),
      names,
      " must have the same dtype, but got ",
      scalar_name(a.dtype()),
      " and ",
      scalar_name(b.dtype()));
}

mx::array mm_kernel(const Tensor& self, const Tensor& mat2) {
  FL_CHECK(self.dim() == 2, "self must be a matrix");
  FL_CHECK(mat2.dim() == 2, "mat2 must be a matrix");
  check_fit(self, mat2);
  FL_CHECK(
      self.dtype() == mat2.dtype(),
      "expected m1 and m2 to have the same dtype, but got: ",
      c_name(self.dtype()),
      " != ",
      c_name(mat2.dtype()));
  check_not_bool(self, "addmm_impl_cpu_");
  return gemm(self.value(), mat2.value());
}

void check_batches(const Tensor& a, const Tensor& b) {
  FL_CHECK(a.dim() == 3, "batch1 must be a 3D tensor");
  FL_CHECK(b.dim() == 3, "batch2 must be a 3D tensor");
  FL_CHECK(
      a.sizes()[0] == b.sizes()[0] && a.sizes()[2] == b.sizes()[1],
      "Expected size for first two dimensions of batch2 tensor to be: [",
      a.sizes()[0],
      ", ",
      a.sizes()[2],
      "] but got: [",
      b.sizes()[0],
      ", ",
      b.sizes()[1],
      "].");
}

void check_found(const Tensor& a, const Tensor& b) {
  FL_CHECK(
      a.dtype() == b.dtype(),
      "expected scalar type ",
      scalar_name(a.dtype()),
      " but found ",
      scalar_name(b.dtype()));
}

void check_vectors(const Tensor& self, const Tensor& other) {
  FL_CHECK(
      self.dim() == 1 && other.dim() == 1,
      "1D tensors expected, but got ",
      self.dim(),
      "D and ",
      other.dim(),
      "D tensors");
  FL_CHECK(
      self.dtype() == other.dtype(),
      "dot : expected both vectors to have same dtype, but found ",
      scalar_name(self.dtype()),
      " and ",
      scalar_name(other.dtype()));
  FL_CHECK(
      self.numel() == other.numel(),
      "inconsistent tensor size, expected tensor ",
      self.sizes(),
      " and src ",
      other.sizes(),
      " to have the same number of elements, but got ",
      self.numel(),
      " and ",
      other.numel(),
      " elements respectively");
  check_not_bool(self, "dot");
}

mx::array dot_kernel(const mx::array& a, const mx::array& b) {
  return mx::reshape(
      gemm(mx::reshape(a, {1, -1}), mx::reshape(b, {-1, 1})), {});
}

void check_mv(const Tensor& self, const Tensor& mat, const Tensor& vec) {
  FL_CHECK(
      mat.dim() == 2 && vec.dim() == 1 && self.dim() <= 1,
      "vector + matrix @ vector expected, got ",
      self.dim(),
      ", ",
      mat.dim(),
      ", ",
      vec.dim());
  int64_t n = mat.sizes()[0];
  int64_t own = self.dim() == 0 || self.is_same(vec) ? n : self.sizes()[0];
  FL_CHECK(
      mat.sizes()[1] == vec.sizes()[0] && (own == n || own == 1),
      "size mismatch, got input (",
      self.is_same(vec) ? n : own,
      "), mat (",
      n,
      "x",
      mat.sizes()[1],
      "), vec (",
      vec.sizes()[0],
      ")");
  FL_CHECK(
      self.dtype() == mat.dtype() && mat.dtype() == vec.dtype(),
      "addmv input tensors must have the same dtype, but got ",
      scalar_name(self.dtype()),
      ", ",
      scalar_name(mat.dtype()),
      ", and ",
      scalar_name(vec.dtype()));
  check_not_bool(mat, "addmv_impl_cpu");
}

mx::array mv_kernel(const mx::array& mat, const mx::array& vec) {
  return mx::squeeze(gemm(mat, mx::expand_dims(vec, 1)), 1);
}

mx::array addmv_kernel(
    const Tensor& self,
    const Tensor& mat,
    const Tensor& vec,
    const Scalar& beta,
    const Scalar& alpha) {
  check_mv(self, mat, vec);
  mx::array m = mat.value(), v = vec.value();
  if (!is_half(m)) {
    return blend(self, mv_kernel(m, v), beta, alpha);
  }
  // As PyTorch: the numbers and beta * self are rounded, the product is not.
  mx::array y = mv_kernel(widened(m), widened(v));
  check_expands(self, to_int_list(y.shape()));
  y = mx::multiply(y, widened(scalar_array(alpha, mat.dtype())));
  if (beta != Scalar(0)) {
    y = mx::add(y, widened(times(self.value(), beta)));
  }
  return mx::astype(y, m.dtype());
}

mx::array addbmm_kernel(
    const Tensor& self,
    const Tensor& batch1,
    const Tensor& batch2,
    const Scalar& beta,
    const Scalar& alpha) {
  check_batches(batch1, batch2);
  check_same_dtype(self, batch2, "self and mat2");
  check_found(batch1, batch2);
  check_not_bool(self, "addbmm_impl_cpu_");
  mx::array a = batch1.value(), b = batch2.value();
  if (!is_half(a) || batch1.numel() == 0 || batch2.numel() == 0) {
    mx::array product = mx::sum(gemm(a, b), 0);
    return blend(self, mx::astype(product, to_mlx(self.dtype())), beta, alpha);
  }
  // As PyTorch: one product after the other, each rounded.
  mx::array sum =
      blend_product(self, mx::take(a, 0, 0), mx::take(b, 0, 0), beta, alpha);
  for (int i = 1; i < a.shape(0); ++i) {
    sum = blend_product(
        Tensor(sum), mx::take(a, i, 0), mx::take(b, i, 0), Scalar(1), alpha);
  }
  return sum;
}

// x as a matrix: the dimensions before the last one folded.
Tensor folded(const Tensor& x) {
  const IntList& s = x.sizes();
  int64_t rows = product(IntList(s.begin(), s.end() - 1));
  return x.dim() == 2 ? x : reshape(x, {rows, s.back()});
}

// The gradient of `other` in self @ other. A matrix that every batch shares
// gets one product over all rows, not a sum of products.
Tensor right_grad(const Tensor& grad, const Tensor& self, const Tensor& other) {
  if (other.dim() == 2) {
    return mm(adjoint_of(folded(self)), folded(grad));
  }
  return matmul(adjoint_of(self), grad);
}

Tensor
linear_forward(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  Tensor wt = t(weight);
  if (!bias.defined()) {
    return matmul(input, wt);
  }
  if (input.dim() == 1 || weight.dim() == 1) {
    return input.dim() == 2 ? addmm(bias, input, wt) : matmul(input, wt) + bias;
  }
  return bias.dim() == 1 ? _linear(input, weight, bias)
                         : matmul(input, wt) + bias;
}

mx::array
linear_kernel(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  int64_t k = input.size(-1), n = weight.sizes()[0];
  int64_t rows = input.numel() / std::max<int64_t>(k, 1);
  FL_CHECK(
      k == weight.sizes()[1],
      "mat1 and mat2 shapes cannot be multiplied (",
      rows,
      "x",
      k,
      " and ",
      weight.sizes()[1],
      "x",
      n,
      ")");
  check_same_dtype(input, weight, "mat1 and mat2");
  check_same_dtype(bias, weight, "self and mat2");
  IntList sizes{rows, n};
  FL_CHECK(
      bias.sizes()[0] == n || bias.sizes()[0] == 1,
      "The expanded size of the tensor (",
      n,
      ") must match the existing size (",
      bias.sizes()[0],
      ") at non-singleton dimension 1.  Target sizes: ",
      sizes,
      ".  Tensor sizes: ",
      bias.sizes());
  mx::array w = mx::transpose(weight.value());
  if (input.is_floating_point() && input.numel() != 0) {
    return mx::addmm(bias.value(), input.value(), w);
  }
  check_not_bool(input, "addmm_impl_cpu_");
  return mx::add(gemm(input.value(), w), bias.value());
}

} // namespace

void register_matmul() {
  op("mm(Tensor self, Tensor mat2) -> Tensor")
      .forms("function method out")
      .exact_out()
      .autocast(Autocast::Lower)
      .kernel(mm_kernel)
      .complex128(products())
      .grad(
          "self",
          "mat2",
          [](const Tensor& grad, const Tensor& mat2) {
            return mm(grad, adjoint_of(mat2));
          })
      .grad(
          "mat2",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return mm(adjoint_of(self), grad);
          })
      .doc("The product of two matrices.");
  op("bmm(Tensor self, Tensor mat2) -> Tensor")
      .forms("function method out")
      .exact_out()
      .autocast(Autocast::Lower)
      .kernel([](const Tensor& self, const Tensor& mat2) {
        check_batches(self, mat2);
        check_found(self, mat2);
        check_not_bool(self, "bmm");
        return gemm(self.value(), mat2.value());
      })
      .complex128(products())
      .grad(
          "self",
          "mat2",
          [](const Tensor& grad, const Tensor& mat2) {
            return bmm(grad, adjoint_of(mat2));
          })
      .grad(
          "mat2",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return bmm(adjoint_of(self), grad);
          })
      .doc("Products of matrices, one for each of a batch.");
  // Batches that broadcast, both sides of two dimensions at least.
  op("_matmul(Tensor self, Tensor other) -> Tensor")
      .forms("")
      .node("UnsafeViewBackward0")
      .kernel([](const Tensor& self, const Tensor& other) {
        if (other.dim() == 2) {
          int64_t k = self.size(-1);
          FL_CHECK(
              k == other.sizes()[0],
              "mat1 and mat2 shapes cannot be multiplied (",
              self.numel() / std::max<int64_t>(k, 1),
              "x",
              k,
              " and ",
              other.sizes()[0],
              "x",
              other.sizes()[1],
              ")");
          FL_CHECK(
              self.dtype() == other.dtype(),
              "expected m1 and m2 to have the same dtype, but got: ",
              c_name(self.dtype()),
              " != ",
              c_name(other.dtype()));
        } else {
          auto batch = [](const Tensor& t) {
            const IntList& s = t.sizes();
            return IntList(s.begin(), s.end() - 2);
          };
          int64_t n = product(broadcast_sizes(batch(self), batch(other)));
          FL_CHECK(
              self.size(-1) == other.size(-2),
              "Expected size for first two dimensions of batch2 tensor to be: "
              "[",
              n,
              ", ",
              self.size(-1),
              "] but got: [",
              n,
              ", ",
              other.size(-2),
              "].");
          check_found(self, other);
        }
        check_not_bool(self, "bmm");
        return gemm(self.value(), other.value());
      })
      .complex128(products())
      .grad(
          "self",
          "other",
          [](const Tensor& grad, const Tensor& other) {
            return matmul(grad, adjoint_of(other));
          })
      .grad("other", "self other", right_grad)
      .doc("Products of batches of matrices.");
  op("matmul(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .exact_out("result dtype %O does not match input dtype %R")
      .autocast(Autocast::Lower)
      .composite([](const Tensor& self, const Tensor& other) {
        int64_t a = self.dim(), b = other.dim();
        FL_CHECK(
            a > 0 && b > 0,
            "both arguments to matmul need to be at least 1D, but they are ",
            a,
            "D and ",
            b,
            "D");
        if (a == 2 && b == 2) {
          return mm(self, other);
        }
        if (a == 1 && b == 1) {
          return dot(self, other);
        }
        if (a == 2 && b == 1) {
          return mv(self, other);
        }
        if (a == 1 && b == 2) {
          return squeeze(mm(unsqueeze(self, 0), other), 0);
        }
        if (a == 1) {
          return squeeze(_matmul(unsqueeze(self, 0), other), -2);
        }
        if (b == 1) {
          int64_t k = self.size(-1),
                  rows = self.numel() / std::max<int64_t>(k, 1);
          FL_CHECK(
              k == other.sizes()[0],
              "size mismatch, got input (",
              rows,
              "), mat (",
              rows,
              "x",
              k,
              "), vec (",
              other.sizes()[0],
              ")");
          return squeeze(_matmul(self, unsqueeze(other, 1)), -1);
        }
        return _matmul(self, other);
      })
      .doc("The product of matrices, vectors or batches of them.");
  op("linalg_matmul(Tensor self, Tensor other) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& self, const Tensor& other) {
        return matmul(self, other);
      })
      .doc("The product of matrices, vectors or batches of them.");
  op("mv(Tensor self, Tensor vec) -> Tensor")
      .forms("function method out")
      .exact_out(
          "addmv input tensors must have the same dtype, but got %O, %R, and "
          "%R")
      .autocast(Autocast::None, Autocast::Lower)
      .kernel([](const Tensor& self, const Tensor& vec) {
        check_mv(vec, self, vec);
        return mv_kernel(self.value(), vec.value());
      })
      .complex128(products())
      .grad(
          "self",
          "vec",
          [](const Tensor& grad, const Tensor& vec) {
            return unsqueeze(grad, 1) * unsqueeze(conj(vec), 0);
          })
      .grad(
          "vec",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return mv(adjoint_of(self), grad);
          })
      .doc("The product of a matrix and a vector.");
  op("dot(Tensor self, Tensor tensor) -> Tensor")
      .forms("function method out")
      .exact_out("result dtype %O does not match input dtype %R")
      .kernel([](const Tensor& self, const Tensor& tensor) {
        check_vectors(self, tensor);
        if (!self->conj || !tensor->conj) {
          return constant(dot_kernel(self.value(), tensor.value()), self);
        }
        // As PyTorch's: the conjugate, not computed yet, of what is stored.
        Tensor out = constant(
            dot_kernel(
                mx::conjugate(self.value()), mx::conjugate(tensor.value())),
            self);
        out->conj = true;
        return out;
      })
      .complex128(products())
      .grad(
          "self",
          "tensor",
          [](const Tensor& grad, const Tensor& tensor) {
            return grad * conj(tensor);
          })
      .grad(
          "tensor",
          "self",
          [](const Tensor& grad, const Tensor& self) {
            return grad * conj(self);
          })
      .doc("The dot product of two vectors.");
  op("vdot(Tensor self, Tensor other) -> Tensor")
      .forms("function method out")
      .exact_out("result dtype %O does not match input dtype %R")
      .kernel([](const Tensor& self, const Tensor& other) {
        check_vectors(self, other);
        return dot_kernel(mx::conjugate(self.value()), other.value());
      })
      .complex128(
          same_dtypes(formula([](const Tensor& self, const Tensor& other) {
            return dot(conj(self), other);
          })))
      .grad(
          "self",
          "other",
          [](const Tensor& grad, const Tensor& other) {
            return conj(grad) * other;
          })
      .grad(
          "other",
          "self",
          [](const Tensor& grad, const Tensor& self) { return grad * self; })
      .doc("The dot product of two vectors, the first one conjugated.");

  op("addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar "
     "alpha=1) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .autocast(Autocast::Lower)
      .kernel([](const Tensor& self,
                 const Tensor& mat1,
                 const Tensor& mat2,
                 const Scalar& beta,
                 const Scalar& alpha) {
        FL_CHECK(
            mat1.dim() == 2,
            "mat1 must be a matrix, got ",
            mat1.dim(),
            "-D tensor");
        FL_CHECK(
            mat2.dim() == 2,
            "mat2 must be a matrix, got ",
            mat2.dim(),
            "-D tensor");
        check_fit(mat1, mat2);
        check_same_dtype(mat1, mat2, "mat1 and mat2");
        check_same_dtype(self, mat2, "self and mat2");
        check_not_bool(self, "addmm_impl_cpu_");
        return blend_product(self, mat1.value(), mat2.value(), beta, alpha);
      })
      .complex128(same_dtypes(formula([](const Tensor& self,
                                         const Tensor& mat1,
                                         const Tensor& mat2,
                                         const Scalar& beta,
                                         const Scalar& alpha) {
        return blended(self, mm(mat1, mat2), beta, alpha);
      })))
      .grad(
          "self",
          "beta",
          [](const Tensor& grad, const Scalar& beta) {
            return times(grad, beta);
          })
      .grad(
          "mat1",
          "mat2 alpha",
          [](const Tensor& grad, const Tensor& mat2, const Scalar& alpha) {
            return times(mm(grad, adjoint_of(mat2)), alpha);
          })
      .grad(
          "mat2",
          "mat1 alpha",
          [](const Tensor& grad, const Tensor& mat1, const Scalar& alpha) {
            return times(mm(adjoint_of(mat1), grad), alpha);
          })
      .doc("beta * self + alpha * (mat1 @ mat2).");
  op("addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar "
     "alpha=1) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .autocast(Autocast::None, Autocast::Lower)
      .kernel(addmv_kernel)
      .complex128(same_dtypes(formula([](const Tensor& self,
                                         const Tensor& mat,
                                         const Tensor& vec,
                                         const Scalar& beta,
                                         const Scalar& alpha) {
        return blended(self, mv(mat, vec), beta, alpha);
      })))
      .grad(
          "self",
          "beta",
          [](const Tensor& grad, const Scalar& beta) {
            return times(grad, beta);
          })
      .grad(
          "mat",
          "vec alpha",
          [](const Tensor& grad, const Tensor& vec, const Scalar& alpha) {
            return unsqueeze(times(grad, alpha), 1) * unsqueeze(conj(vec), 0);
          })
      .grad(
          "vec",
          "mat alpha",
          [](const Tensor& grad, const Tensor& mat, const Scalar& alpha) {
            return times(mv(adjoint_of(mat), grad), alpha);
          })
      .doc("beta * self + alpha * (mat @ vec).");
  op("addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, "
     "Scalar alpha=1) -> Tensor")
      .forms("function method out")
      .exact_out("self and mat2 must have the same dtype, but got %O and %R")
      .autocast(Autocast::Lower)
      .kernel(addbmm_kernel)
      .complex128(same_dtypes(formula([](const Tensor& self,
                                         const Tensor& batch1,
                                         const Tensor& batch2,
                                         const Scalar& beta,
                                         const Scalar& alpha) {
        return blended(self, sum(bmm(batch1, batch2), IntList{0}), beta, alpha);
      })))
      .grad(
          "self",
          "beta",
          [](const Tensor& grad, const Scalar& beta) {
            return times(grad, beta);
          })
      .grad(
          "batch1",
          "batch2 alpha",
          [](const Tensor& grad, const Tensor& batch2, const Scalar& alpha) {
            return times(matmul(grad, adjoint_of(batch2)), alpha);
          })
      .grad(
          "batch2",
          "batch1 alpha",
          [](const Tensor& grad, const Tensor& batch1, const Scalar& alpha) {
            return times(matmul(adjoint_of(batch1), grad), alpha);
          })
      .doc("beta * self + alpha * the sum of the products of a batch.");
  op("baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, "
     "Scalar alpha=1) -> Tensor")
      .forms("function method inplace out")
      .exact_out()
      .autocast(Autocast::Lower)
      .kernel([](const Tensor& self,
                 const Tensor& batch1,
                 const Tensor& batch2,
                 const Scalar& beta,
                 const Scalar& alpha) {
        check_batches(batch1, batch2);
        FL_CHECK(
            self.dtype() == batch1.dtype() && self.dtype() == batch2.dtype(),
            "Input dtypes must be the same, got: input ",
            c_name(self.dtype()),
            ", batch1: ",
            c_name(batch1.dtype()),
            ", batch2: ",
            c_name(batch2.dtype()));
        check_not_bool(self, "baddbmm");
        return blend_product(self, batch1.value(), batch2.value(), beta, alpha);
      })
      .complex128(same_dtypes(formula([](const Tensor& self,
                                         const Tensor& batch1,
                                         const Tensor& batch2,
                                         const Scalar& beta,
                                         const Scalar& alpha) {
        return blended(self, bmm(batch1, batch2), beta, alpha);
      })))
      .grad(
          "self",
          "beta",
          [](const Tensor& grad, const Scalar& beta) {
            return times(grad, beta);
          })
      .grad(
          "batch1",
          "batch2 alpha",
          [](const Tensor& grad, const Tensor& batch2, const Scalar& alpha) {
            return times(bmm(grad, adjoint_of(batch2)), alpha);
          })
      .grad(
          "batch2",
          "batch1 alpha",
          [](const Tensor& grad, const Tensor& batch1, const Scalar& alpha) {
            return times(bmm(adjoint_of(batch1), grad), alpha);
          })
      .doc("beta * self + alpha * (batch1 @ batch2).");
  // In place, self becomes of the result's size, whatever it was.
  op("addbmm_(Tensor(a!) self, Tensor batch1, Tensor batch2, *, Scalar beta=1, "
     "Scalar alpha=1) -> Tensor(a!)")
      .forms("method")
      .mutating([](const Tensor& self,
                   const Tensor& batch1,
                   const Tensor& batch2,
                   const Scalar& beta,
                   const Scalar& alpha) {
        Tensor result = addbmm(self, batch1, batch2, beta, alpha);
        if (result.sizes() != self.sizes()) {
          FL_CHECK(
              !requires_grad(self) && !requires_grad(result),
              "cannot resize variables that require grad");
          resize_tensor(self, result.sizes());
        }
        return copy_(self, result, false);
      })
      .doc("self becomes beta * self + alpha * the sum of the products.");
  op("addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar "
     "alpha=1) -> Tensor")
      .forms("function method inplace out")
      .promote_dtypes("self vec1 vec2")
      .check([](const Tensor&, const Tensor& vec1, const Tensor& vec2) {
        FL_CHECK(
            vec1.dim() == 1,
            "addr: Expected 1-D argument vec1, but got ",
            vec1.dim(),
            "-D");
        FL_CHECK(
            vec2.dim() == 1,
            "addr: Expected 1-D argument vec2, but got ",
            vec2.dim(),
            "-D");
      })
      .kernel([](const mx::array& self,
                 const mx::array& vec1,
                 const mx::array& vec2,
                 const Scalar& beta,
                 const Scalar& alpha) {
        Dtype d = from_mlx(self.dtype());
        for (auto [s, what] : {std::pair(&beta, "beta"), {&alpha, "alpha"}}) {
          FL_CHECK(
              !is_integral(d, true) || s->is_integral(),
              "For integral input tensors, argument ",
              what,
              " must not be a floating point number.");
        }
        mx::array row = mx::expand_dims(vec2, 0);
        if (d == Dtype::Bool) {
          mx::array y = mx::logical_and(
              mx::multiply(mx::expand_dims(vec1, 1), row),
              mx::array(alpha.to_bool()));
          return beta.to_bool() ? mx::logical_or(self, y) : y;
        }
        mx::array column = mx::expand_dims(times(vec1, alpha), 1);
        return blend(Tensor(self), mx::multiply(column, row), beta, Scalar(1));
      })
      .complex128(same_dtypes(formula([](const Tensor& self,
                                         const Tensor& vec1,
                                         const Tensor& vec2,
                                         const Scalar& beta,
                                         const Scalar& alpha) {
        return blended(
            self, unsqueeze(vec1, 1) * unsqueeze(vec2, 0), beta, alpha);
      })))
      .grad(
          "self",
          "beta",
          [](const Tensor& grad, const Scalar& beta) {
            return times(grad, beta);
          })
      .grad(
          "vec1",
          "vec2 alpha",
          [](const Tensor& grad, const Tensor& vec2, const Scalar& alpha) {
            return times(mv(grad, conj(vec2)), alpha);
          })
      .grad(
          "vec2",
          "vec1 alpha",
          [](const Tensor& grad, const Tensor& vec1, const Scalar& alpha) {
            return times(mv(t(grad), conj(vec1)), alpha);
          })
      .doc("beta * self + alpha * the outer product of two vectors.");

  op("linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor")
      .module("nn")
      .forms("function out")
      .exact_out()
      .autocast(Autocast::Lower)
      .composite([](const Tensor& input,
                    const Tensor& weight,
                    const Tensor& bias) {
        FL_CHECK(
            input.dim() > 0 && weight.dim() > 0,
            "both arguments to linear need to be at least 1D, but they are ",
            input.dim(),
            "D and ",
            weight.dim(),
            "D");
        return linear_forward(input, weight, bias);
      })
      .doc("input @ weight.T + bias.");
  // With a bias, and no copy of the rows for it.
  op("_linear(Tensor input, Tensor weight, Tensor bias) -> Tensor")
      .forms("")
      .node("AddmmBackward0")
      .kernel(linear_kernel)
      .complex128(same_dtypes(formula(
          [](const Tensor& input, const Tensor& weight, const Tensor& bias) {
            return matmul(input, t(weight)) + bias;
          })))
      .grad(
          "input",
          "weight",
          [](const Tensor& grad, const Tensor& weight) {
            return matmul(grad, conj(weight));
          })
      .grad(
          "weight",
          "input",
          [](const Tensor& grad, const Tensor& input) {
            return mm(t(folded(grad)), conj(folded(input)));
          })
      .grad("bias", "", [](const Tensor& grad) { return grad; })
      .doc("input @ weight.T + bias.");
}

} // namespace flashlight
