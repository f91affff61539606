// Pseudoinverses, least squares, ranks and condition numbers.
#include <algorithm>
#include <cmath>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/batches.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/decompositions.h"
#include "flashlight/ops/functions/least_squares.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/norms.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

double epsilon_of(Dtype d) {
  return to_real(d) == Dtype::Float64 ? 0x1p-52 : 0x1p-23;
}

// Tolerances that a call gave: of each matrix, or numbers.
struct Tolerance {
  Tensor tensor;
  std::optional<double> number;
  bool given() const {
    return tensor.defined() || number;
  }
};

Tolerance by(const Tensor& tensor) {
  Tolerance t;
  t.tensor = tensor;
  return t;
}

Tolerance by(std::optional<double> number) {
  Tolerance t;
  t.number = number;
  return t;
}

// What singular values must be greater than: (batch).
mx::array threshold(
    const Tensor& a,
    const mx::array& largest,
    const Tolerance& atol,
    const Tolerance& rtol) {
  mx::Dtype type = largest.dtype();
  auto size = static_cast<double>(std::max(a.size(-1), a.size(-2)));
  auto value = [&](const Tolerance& t, double otherwise) {
    return t.tensor.defined()
               ? mx::astype(t.tensor.value(), type)
               : mx::astype(
                     mx::array(t.number.value_or(otherwise), mx::float64),
                     type);
  };
  double fallback = epsilon_of(a.dtype()) * size;
  mx::array absolute = value(atol, 0);
  mx::array relative = value(rtol, fallback);
  if (!rtol.given() && atol.given()) {
    // Relative only where nothing absolute was given.
    relative = mx::where(
        mx::greater(absolute, mx::array(0, type)),
        mx::array(0, type),
        relative);
  }
  return mx::maximum(absolute, mx::multiply(relative, largest));
}

void check_real(
    const Tensor& t,
    std::string_view function,
    std::string_view argument) {
  FL_CHECK(
      !t.defined() || !t.is_complex(),
      function,
      ": ",
      argument,
      " tensor of complex type is not supported. Got ",
      scalar_name(t.dtype()));
}

// --- pseudoinverses ----------------------------------------------------------

void check_pinv(const Tensor& a, const Tensor& atol, const Tensor& rtol) {
  FL_CHECK(
      a.dim() >= 2,
      "linalg.pinv: The input tensor A must have at least 2 dimensions.");
  for (auto [t, name] : {std::pair(&atol, "atol"), {&rtol, "rtol"}}) {
    FL_CHECK(
        !t->defined() || !requires_grad(*t),
        "The function 'linalg_pinv' is not differentiable with respect to "
        "argument '",
        name,
        "'. This input cannot have requires_grad True.");
  }
}

// By singular values (eigenvalues, if Hermitian); the small count as zero.
Tensor pinv_of(
    const Tensor& a,
    const Tolerance& atol,
    const Tolerance& rtol,
    bool hermitian) {
  NoGrad guard;
  if (a.numel() == 0) { // a product too, whose dtype autocast may choose
    return matmul(mT(a), matmul(a, mT(a)));
  }
  Tensor left, values, right;
  if (hermitian) {
    std::tie(values, left) = linalg_eigh(a);
    right = mH(left);
  } else {
    std::tie(left, values, right) = linalg_svd(a, false);
  }
  mx::array sizes = mx::abs(values.value());
  mx::array cut = threshold(a, mx::max(sizes, -1), atol, rtol);
  mx::array keep = mx::greater(sizes, mx::expand_dims(cut, -1));
  mx::array inverse = mx::where(
      keep,
      mx::reciprocal(values.value()),
      mx::array(0, to_mlx(values.dtype())));
  Tensor scale = _to_copy(constant(inverse, values), a.dtype());
  return matmul(mH(right) * unsqueeze(scale, -2), mH(left));
}

// dP = -P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P ("The
// Differentiation of Pseudo-Inverses", Golub and Pereyra).
Tensor pinv_grad(const Tensor& grad, const Tensor& p, const Tensor& a) {
  if (a.numel() == 0) {
    return zeros_like(a);
  }
  Tensor ph = mH(p), gh = mH(grad);
  Tensor first = matmul(ph, matmul(grad, ph));
  // 1 - A P and 1 - P A, applied to whatever is smaller.
  Tensor left = matmul(matmul(gh, p), ph);
  left = left - matmul(a, matmul(p, left));
  Tensor right = matmul(ph, matmul(p, gh));
  right = right - matmul(matmul(right, p), a);
  return left + right - first;
}

// --- least squares -----------------------------------------------------------

bool is_vector(const Tensor& a, const Tensor& b) {
  return b.dim() == 1 ||
         (a.dim() - 1 == b.dim() &&
          b.sizes() == IntList(a.sizes().begin(), a.sizes().end() - 1));
}

std::string driver_of(const std::optional<std::string>& given) {
  std::string driver = given.value_or("gelsy");
  FL_CHECK(
      driver == "gels" || driver == "gelsy" || driver == "gelsd" ||
          driver == "gelss",
      "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, "
      "gelsd, gelss)");
  return driver;
}

void check_lstsq(const Tensor& a, const Tensor& b) {
  constexpr std::string_view name = "torch.linalg.lstsq";
  FL_CHECK(a.dim() >= 2, name, ": input must have at least 2 dimensions.");
  FL_CHECK(b.dim() >= 1, name, ": other must have at least 1 dimension.");
  FL_CHECK(
      a.dtype() == b.dtype(),
      name,
      ": Expected input and other to have the same dtype, but got input's "
      "dtype ",
      scalar_name(a.dtype()),
      " and other's dtype ",
      scalar_name(b.dtype()));
  int64_t apart = a.dim() - b.dim();
  FL_CHECK(
      apart == 0 || apart == 1,
      name,
      ": input.dim() must be greater or equal to other.dim() and (input.dim() "
      "- other.dim()) <= 1");
  bool vector = is_vector(a, b);
  FL_CHECK(
      a.size(-2) == b.size(vector ? -1 : -2),
      name,
      ": input.size(-2) should match other.size(",
      vector ? "-1)" : "-2)");
  FL_CHECK(
      kind_of(a.dtype()) == kFloats || kind_of(a.dtype()) == kComplexes,
      "This function doesn't handle types other than float and double");
}

// Solutions, sums of squared residuals (m > n and full ranks, with "gelsy"
// excepted), ranks and singular values; of one batch.
std::tuple<mx::array, mx::array, mx::array, mx::array> lstsq_kernel(
    const mx::array& given_a,
    const mx::array& given_b,
    double rcond,
    const std::string& driver) {
  return in_double(given_a, [&](auto zero) {
    using T = decltype(zero);
    Batch<T> a = load_batch<T>(given_a), b = load_batch<T>(given_b);
    int m = a.rows, n = a.columns, columns = b.columns, least = std::min(m, n);
    Batch<T> both(b.count, std::max(m, n), columns);
    for (size_t k = 0; k < b.count; ++k) {
      for (int j = 0; j < columns && m; ++j) {
        std::copy_n(
            b.at(k) + static_cast<std::ptrdiff_t>(j) * m,
            m,
            both.at(k) + static_cast<std::ptrdiff_t>(j) * both.rows);
      }
    }
    bool divide = driver == "gelsd", by_values = divide || driver == "gelss";
    bool ranked = driver != "gels";
    std::vector<int> rank(a.count, 0);
    Batch<double> values(a.count, least, 1);
    for (size_t k = 0; k < a.count && least && columns; ++k) {
      int info = 0;
      FL_CHECK_AS(
          LinAlgError,
          std::none_of(a.at(k), a.at(k) + a.each(), [](T x) { return x != x; }),
          "torch.linalg.lstsq: ",
          batch_text(given_a, k),
          "input contains NaN.");
      if (by_values) {
        info = lapack::gelss(
            divide,
            m,
            n,
            columns,
            a.at(k),
            both.at(k),
            values.at(k),
            rcond,
            &rank[k]);
      } else if (ranked) {
        info =
            lapack::gelsy(m, n, columns, a.at(k), both.at(k), rcond, &rank[k]);
      } else {
        info = lapack::gels(m, n, columns, a.at(k), both.at(k));
      }
      FL_CHECK_AS(
          LinAlgError,
          info == 0,
          "torch.linalg.lstsq: ",
          batch_text(given_a, k),
          ranked ? "The algorithm for computing the SVD failed to converge "
                   "(error code: "
                 : "The least squares solution could not be computed because "
                   "the input matrix does not have full rank (error code: ",
          info,
          ").");
    }
    Batch<T> x(b.count, n, columns);
    std::vector<double> rest;
    bool full = std::all_of(
        rank.begin(), rank.end(), [&](int r) { return !ranked || r == n; });
    bool measured = m > n && driver != "gelsy" && full;
    for (size_t k = 0; k < b.count; ++k) {
      for (int j = 0; j < columns; ++j) {
        const T* from = both.at(k) + static_cast<std::ptrdiff_t>(j) * both.rows;
        std::copy_n(from, n, x.at(k) + static_cast<std::ptrdiff_t>(j) * n);
        double sum = 0;
        for (int i = n; i < m && (ranked || n); ++i) { // gels: zero if n is
          sum += std::norm(from[i]);
        }
        rest.push_back(sum);
      }
    }
    mx::Shape batch = batch_shape(given_a), per_column = batch,
              per_value = batch;
    per_column.push_back(columns);
    per_value.push_back(least);
    mx::Dtype type = given_a.dtype(), real = to_mlx(to_real(from_mlx(type)));
    return std::tuple(
        store_batch(x, batch, type),
        measured ? store(rest, per_column, real) : mx::zeros({0}, real),
        ranked ? mx::astype(store_ints(rank, batch), mx::int64)
               : mx::zeros({0}, mx::int64),
        by_values ? store(values.data, per_value, real) : mx::zeros({0}, real));
  });
}

// --- ranks and condition numbers ---------------------------------------------

Tensor rank_of(
    const Tensor& a,
    const Tolerance& atol,
    const Tolerance& rtol,
    bool hermitian) {
  constexpr std::string_view name = "torch.linalg.matrix_rank";
  FL_CHECK(
      a.dim() >= 2,
      name,
      ": The input tensor input must have at least 2 dimensions.");
  check_real(atol.tensor, name, "atol");
  check_real(rtol.tensor, name, "rtol");
  NoGrad guard;
  FL_CHECK(
      kind_of(a.dtype()) == kFloats || kind_of(a.dtype()) == kComplexes,
      "This function doesn't handle types other than float and double");
  if (a.numel() == 0) {
    return zeros(IntList(a.sizes().begin(), a.sizes().end() - 2), Dtype::Int64);
  }
  mx::array values =
      mx::abs((hermitian ? linalg_eigvalsh(a) : linalg_svdvals(a)).value());
  mx::array cut = threshold(a, mx::max(values, -1), atol, rtol);
  mx::array above = mx::greater(values, mx::expand_dims(cut, -1));
  return constant(mx::astype(mx::sum(above, -1), mx::int64), a);
}

Tensor ratio_of_values(const Tensor& a, bool inverted) {
  Tensor s = linalg_svdvals(a);
  Tensor first = select(s, -1, 0), last = select(s, -1, -1);
  return inverted ? last / first : first / last;
}

// Zero, as PyTorch says of matrices without elements.
Tensor cond_of_nothing(const Tensor& a) {
  return zeros(
      IntList(a.sizes().begin(), a.sizes().end() - 2), to_real(a.dtype()));
}

void check_cond(const Tensor& a) {
  FL_CHECK(
      a.dim() >= 2,
      "linalg.cond: The input tensor must have at least 2 dimensions.");
}

// The product of the norms of a and its inverse; infinite if there is none.
template <typename F>
Tensor cond_by(const Tensor& a, const std::string& order, F norm_of) {
  check_square(a, "linalg.cond(ord=" + order + ")");
  if (a.numel() == 0) {
    return cond_of_nothing(a);
  }
  auto [inverse, info] = linalg_inv_ex(a);
  mx::array none = mx::greater(info.value(), mx::array(0));
  mx::array matrices = mx::expand_dims(none, {-2, -1});
  Tensor safe = masked_fill(inverse, constant(matrices, a), Scalar(0));
  Tensor product = norm_of(a) * norm_of(safe);
  if (order == "nuc") { // an inverse of infinities has no singular values
    double nan = std::numeric_limits<double>::quiet_NaN();
    return masked_fill(product, constant(none, a), Scalar(nan));
  }
  none = mx::logical_or(none, mx::isnan(detach(product).value()));
  return masked_fill(product, constant(none, a), Scalar(kInf));
}

IntList last_two() {
  IntList dims;
  dims.push_back(-2);
  dims.push_back(-1);
  return dims;
}

Tensor cond_number(const Tensor& a, const std::optional<Scalar>& p) {
  check_cond(a);
  double order = p ? p->to_double() : 2;
  if (std::abs(order) == 2) {
    if (a.numel() == 0) {
      return cond_of_nothing(a);
    }
    return ratio_of_values(a, order < 0);
  }
  FL_CHECK(
      std::abs(order) == 1 || std::abs(order) == kInf,
      "linalg.cond got an invalid norm type: ",
      *p);
  return cond_by(a, detail::concat(*p), [&](const Tensor& x) {
    return linalg_matrix_norm(x, *p, last_two());
  });
}

Tensor cond_name(const Tensor& a, const std::string& p) {
  check_cond(a);
  FL_CHECK(
      p == "fro" || p == "nuc", "linalg.cond got an invalid norm type: ", p);
  return cond_by(a, p, [&](const Tensor& x) {
    return linalg_matrix_norm(x, p, last_two());
  });
}

} // namespace

void register_least_squares() {
  op("linalg_pinv.atol_rtol_tensor(Tensor self, *, Tensor? atol=None, Tensor? "
     "rtol=None, bool hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%clinalg.pinv")
      .check([](const Tensor& self, const Tensor& atol, const Tensor& rtol) {
        check_pinv(self, atol, rtol);
      })
      .kernel([](const Tensor& self,
                 const Tensor& atol,
                 const Tensor& rtol,
                 bool hermitian) {
        return pinv_of(self, by(atol), by(rtol), hermitian);
      })
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            return pinv_grad(grad, result, self);
          })
      .zero_grad("atol rtol")
      .doc("The pseudoinverses of matrices.");
  op("_linalg_pinv(Tensor self, float? atol, float? rtol, bool hermitian) -> "
     "Tensor")
      .forms("")
      .node("LinalgPinvBackward0")
      .check([](const Tensor& self) { check_pinv(self, {}, {}); })
      .kernel([](const Tensor& self,
                 std::optional<double> atol,
                 std::optional<double> rtol,
                 bool hermitian) {
        return pinv_of(self, by(atol), by(rtol), hermitian);
      })
      .grad(
          "self",
          "self result",
          [](const Tensor& grad, const Tensor& self, const Tensor& result) {
            return pinv_grad(grad, result, self);
          })
      .doc("The pseudoinverses of matrices, the tolerances numbers.");
  op("linalg_pinv.atol_rtol_float(Tensor self, *, float? atol=None, float? "
     "rtol=None, bool hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%clinalg.pinv")
      .composite([](const Tensor& self,
                    std::optional<double> atol,
                    std::optional<double> rtol,
                    bool hermitian) {
        return _linalg_pinv(self, atol, rtol, hermitian);
      })
      .doc("The pseudoinverses of matrices.");
  op("linalg_pinv(Tensor self, float rcond, bool hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%clinalg.pinv")
      .composite([](const Tensor& self, double rcond, bool hermitian) {
        return _linalg_pinv(self, 0.0, rcond, hermitian);
      })
      .doc("The pseudoinverses of matrices.");
  op("linalg_pinv.rcond_tensor(Tensor self, Tensor rcond, bool "
     "hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%clinalg.pinv")
      .composite([](const Tensor& self, const Tensor& rcond, bool hermitian) {
        check_real(rcond, "torch.linalg.pinv", "rcond");
        return linalg_pinv(self, Tensor(), rcond, hermitian);
      })
      .doc("The pseudoinverses of matrices.");
  op("pinverse(Tensor self, float rcond=1e-15) -> Tensor")
      .autocast(Autocast::Float32, Autocast::None)
      .forms("function method")
      .composite([](const Tensor& self, double rcond) {
        return _linalg_pinv(self, 0.0, rcond, false);
      })
      .doc("The pseudoinverses of matrices.");
  op("_linalg_lstsq(Tensor self, Tensor b, float rcond, str driver) -> (Tensor "
     "solution, Tensor residuals, Tensor rank, Tensor singular_values)")
      .forms("")
      .node("LinalgLstsqBackward0")
      .kernel(lstsq_kernel)
      .grad(
          "self b",
          "self b solution",
          [](const TensorList& grads,
             const Tensor& a,
             const Tensor& b,
             const Tensor& x) {
            TensorList out(2);
            auto add = [&](size_t i, const Tensor& g) {
              out[i] = out[i].defined() ? out[i] + g : g;
            };
            if (grads[0].defined()) {
              Tensor p = linalg_pinv(a, std::optional<double>(), {});
              add(0, pinv_grad(matmul(grads[0], mH(b)), p, a));
              add(1, matmul(mH(p), grads[0]));
            }
            // The least of |A X - B|^2 moves as its terms do, X at rest.
            if (grads[1].defined() && grads[1].numel()) {
              Tensor off =
                  (matmul(a, x) - b) * (unsqueeze(grads[1], -2) * Scalar(2));
              add(0, matmul(off, mH(x)));
              add(1, -off);
            }
            return out;
          })
      .doc("Least squares of batches of the same size.");
  op("linalg_lstsq(Tensor self, Tensor b, float? rcond=None, *, str? "
     "driver=None) -> (Tensor solution, Tensor residuals, Tensor rank, Tensor "
     "singular_values)")
      .module("linalg")
      .forms("function out")
      .exact_out(
          "%ctorch.linalg.lstsq/solution|%ctorch.linalg.lstsq/solution|"
          "%ctorch.linalg.lstsq/rank|%ctorch.linalg.lstsq/singular_values")
      .composite([](const Tensor& self,
                    const Tensor& b,
                    std::optional<double> rcond,
                    const std::optional<std::string>& given) {
        check_lstsq(self, b);
        std::string driver = driver_of(given);
        bool vector = is_vector(self, b);
        Tensor right = vector ? unsqueeze(b, -1) : b;
        IntList batch = broadcast_sizes(
            IntList(self.sizes().begin(), self.sizes().end() - 2),
            IntList(right.sizes().begin(), right.sizes().end() - 2));
        auto widened_to = [&](const Tensor& t) {
          IntList sizes = batch;
          sizes.push_back(t.size(-2));
          sizes.push_back(t.size(-1));
          return expand(t, sizes);
        };
        double cut = rcond.value_or(
            epsilon_of(self.dtype()) *
            static_cast<double>(std::max(self.size(-1), self.size(-2))));
        auto [x, residuals, rank, values] =
            _linalg_lstsq(widened_to(self), widened_to(right), cut, driver);
        if (vector) {
          x = squeeze(x, -1);
        }
        return std::tuple(x, residuals, rank, detach(values));
      })
      .doc("Least squares: X for which A X - B is smallest.");
  op("linalg_matrix_rank.atol_rtol_tensor(Tensor input, *, Tensor? atol=None, "
     "Tensor? rtol=None, bool hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%ctorch.linalg.matrix_rank")
      .kernel([](const Tensor& input,
                 const Tensor& atol,
                 const Tensor& rtol,
                 bool hermitian) {
        return rank_of(input, by(atol), by(rtol), hermitian);
      })
      .not_differentiable()
      .doc("How many singular values of matrices are not small.");
  op("linalg_matrix_rank.atol_rtol_float(Tensor self, *, float? atol=None, "
     "float? rtol=None, bool hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%ctorch.linalg.matrix_rank")
      .kernel([](const Tensor& self,
                 std::optional<double> atol,
                 std::optional<double> rtol,
                 bool hermitian) {
        return rank_of(self, by(atol), by(rtol), hermitian);
      })
      .not_differentiable()
      .doc("How many singular values of matrices are not small.");
  op("linalg_matrix_rank(Tensor self, float tol, bool hermitian=False) -> "
     "Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%ctorch.linalg.matrix_rank")
      .kernel([](const Tensor& self, double tol, bool hermitian) {
        return rank_of(
            self, by(std::optional(tol)), by(std::optional(0.0)), hermitian);
      })
      .not_differentiable()
      .doc("How many singular values of matrices are greater than `tol`.");
  op("linalg_matrix_rank.tol_tensor(Tensor input, Tensor tol, bool "
     "hermitian=False) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%ctorch.linalg.matrix_rank")
      .kernel([](const Tensor& input, const Tensor& tol, bool hermitian) {
        return rank_of(input, by(tol), by(std::optional(0.0)), hermitian);
      })
      .not_differentiable()
      .doc("How many singular values of matrices are greater than `tol`.");
  op("linalg_cond(Tensor self, Scalar? p=None) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%clinalg.cond")
      .composite(cond_number)
      .doc("The condition numbers of matrices, by a norm.");
  op("linalg_cond.p_str(Tensor self, str p) -> Tensor")
      .module("linalg")
      .forms("function out")
      .exact_out("%clinalg.cond")
      .composite(cond_name)
      .doc("The condition numbers of matrices, by a norm's name.");
}

} // namespace flashlight
