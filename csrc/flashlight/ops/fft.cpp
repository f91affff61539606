// Fourier transforms: PyTorch's arguments over MLX's transforms.
#include <algorithm>
#include <cmath>

#include <mlx/fft.h>
#include <mlx/ops.h>

#include "flashlight/ops/creation.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/complex.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/fft.h"
#include "flashlight/ops/functions/padding.h"
#include "flashlight/ops/functions/repeating.h"
#include "flashlight/ops/functions/sequences.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

using Sizes = std::optional<IntList>;
using Text = std::optional<std::string>;

// What a transform is multiplied by: PyTorch's numbers of them.
enum Scaling : int64_t { kNone = 0, kByRoot = 1, kByCount = 2 };

// --- kernels: sums without a factor, then the factor -------------------------

std::vector<int> axes_list(const IntList& dims) {
  return std::vector<int>(dims.begin(), dims.end());
}

int64_t count_of(const mx::Shape& shape, const IntList& dims) {
  int64_t n = 1;
  for (int64_t d : dims) {
    n *= shape[static_cast<size_t>(d)];
  }
  return n;
}

// x times the factor over the one that it has.
mx::array
scaled(const mx::array& x, int64_t count, int64_t scaling, double has = 1) {
  auto n = static_cast<double>(count);
  double factor = (scaling == kByRoot    ? 1 / std::sqrt(n)
                   : scaling == kByCount ? 1 / n
                                         : 1) /
                  has;
  if (factor == 1) {
    return x;
  }
  mx::Dtype real = to_mlx(to_real(from_mlx(x.dtype())));
  return mx::multiply(x, mx::astype(mx::array(factor, mx::float64), real));
}

mx::array complex_kernel(
    const mx::array& self,
    const IntList& dim,
    int64_t scaling,
    bool forward) {
  if (self.size() == 0 || dim.empty()) {
    return self;
  }
  int64_t n = count_of(self.shape(), dim);
  if (forward) {
    return scaled(mx::fft::fftn(self, axes_list(dim)), n, scaling);
  }
  // MLX's has the factor 1 / n.
  return scaled(
      mx::fft::ifftn(self, axes_list(dim)),
      n,
      scaling,
      1 / static_cast<double>(n));
}

mx::array real_kernel(
    const mx::array& self,
    const IntList& dim,
    int64_t scaling,
    bool onesided) {
  mx::Dtype type = to_mlx(to_complex(from_mlx(self.dtype())));
  mx::Shape shape = self.shape();
  int64_t n = count_of(shape, dim);
  if (onesided) {
    auto last = static_cast<size_t>(dim.back());
    shape[last] = shape[last] / 2 + 1;
  }
  if (self.size() == 0) {
    return mx::zeros(shape, type);
  }
  if (!onesided) {
    return scaled(
        mx::fft::fftn(mx::astype(self, type), axes_list(dim)), n, scaling);
  }
  mx::array out =
      mx::fft::rfftn(self, std::vector<int>{static_cast<int>(dim.back())});
  if (dim.size() > 1) {
    out = mx::fft::fftn(out, axes_list(IntList(dim.begin(), dim.end() - 1)));
  }
  return scaled(out, n, scaling);
}

mx::array hermitian_kernel(
    const mx::array& self,
    const IntList& dim,
    int64_t scaling,
    int64_t last_size) {
  mx::Shape shape = self.shape();
  shape[static_cast<size_t>(dim.back())] = static_cast<int>(last_size);
  int64_t n = count_of(shape, dim);
  if (self.size() == 0 || product(to_int_list(shape)) == 0) {
    return mx::zeros(shape, to_mlx(to_real(from_mlx(self.dtype()))));
  }
  mx::array x = self;
  if (dim.size() > 1) {
    x = mx::fft::ifftn(x, axes_list(IntList(dim.begin(), dim.end() - 1)));
  }
  x = mx::fft::irfftn(
      x,
      mx::Shape{static_cast<int>(last_size)},
      std::vector<int>{static_cast<int>(dim.back())});
  return scaled(x, n, scaling, 1 / static_cast<double>(n));
}

// --- derivatives -------------------------------------------------------------

Tensor padded_to(const Tensor& x, int64_t dim, int64_t size) {
  if (x.size(dim) == size) {
    return x;
  }
  IntList pad(static_cast<size_t>(2 * (x.dim() - dim)), int64_t{0});
  pad.back() = size - x.size(dim);
  return constant_pad_nd(x, pad);
}

Tensor real_grad(
    const Tensor& grad,
    const IntList& dim,
    int64_t scaling,
    bool onesided,
    int64_t size) {
  Tensor full = onesided ? padded_to(grad, dim.back(), size) : grad;
  return real(_fft_c2c(full, dim, scaling, false));
}

// Elements that stand for two, their own and their mirror's, count twice.
Tensor hermitian_grad(const Tensor& grad, const IntList& dim, int64_t scaling) {
  Tensor half = _fft_r2c(grad, dim, scaling, true);
  int64_t n = half.size(dim.back()), twice = grad.size(dim.back()) - n;
  if (twice <= 0) {
    return half;
  }
  mx::array at = mx::arange(static_cast<int>(n));
  mx::array middle = mx::logical_and(
      mx::greater_equal(at, mx::array(1)),
      mx::less_equal(at, mx::array(static_cast<int>(twice))));
  mx::array weight = mx::astype(
      mx::add(mx::astype(middle, mx::float32), mx::array(1.0f)),
      to_mlx(grad.dtype()));
  mx::Shape shape(static_cast<size_t>(half.dim()), 1);
  shape[static_cast<size_t>(dim.back())] = static_cast<int>(n);
  return half * constant(mx::reshape(weight, shape), half);
}

// --- arguments ---------------------------------------------------------------

int64_t scaling_of(const Text& norm, bool forward) {
  if (!norm || *norm == "backward") {
    return forward ? kNone : kByCount;
  }
  if (*norm == "forward") {
    return forward ? kByCount : kNone;
  }
  FL_CHECK(*norm == "ortho", "Invalid normalization mode: \"", *norm, "\"");
  return kByRoot;
}

// Integers as the default float type; complex if `complex`.
Tensor promoted(const Tensor& x, bool complex) {
  Dtype d = x.dtype();
  if (!is_floating(d) && !is_complex(d)) {
    d = default_dtype();
  }
  FL_CHECK(kind_of(d) != kHalves, "Unsupported dtype ", scalar_name(d));
  if (complex) {
    d = is_complex(d) ? d : to_complex(d);
  }
  return d == x.dtype() ? x : _to_copy(x, d);
}

void check_points(int64_t n) {
  FL_CHECK(n >= 1, "Invalid number of data points (", n, ") specified");
}

int64_t dim_of(const Tensor& x, int64_t dim) {
  FL_CHECK_INDEX(
      x.dim() > 0,
      "Dimension specified as ",
      dim,
      " but tensor has no dimensions");
  return wrap_dim(dim, x.dim());
}

struct Along {
  IntList dims, sizes;
};

Along along_of(const Tensor& x, const Sizes& s, const Sizes& dim) {
  Along out;
  if (dim) {
    IntList seen;
    for (int64_t d : *dim) {
      d = wrap_dim(d, x.dim());
      FL_CHECK(
          std::find(seen.begin(), seen.end(), d) == seen.end(),
          "FFT dims must be unique");
      seen.push_back(d);
      out.dims.push_back(d);
    }
  }
  if (s) {
    FL_CHECK(
        !dim || dim->size() == s->size(),
        "When given, dim and shape arguments must have the same length");
    FL_CHECK(
        ndim_of(*s) <= x.dim(),
        "Got shape with ",
        s->size(),
        " values but input tensor only has ",
        x.dim(),
        " dimensions.");
    if (!dim) {
      for (int64_t d = x.dim() - ndim_of(*s); d < x.dim(); ++d) {
        out.dims.push_back(d);
      }
    }
  } else if (!dim) {
    for (int64_t d = 0; d < x.dim(); ++d) {
      out.dims.push_back(d);
    }
  }
  for (size_t i = 0; i < out.dims.size(); ++i) {
    bool kept = !s || (*s)[i] == -1;
    out.sizes.push_back(kept ? x.size(out.dims[i]) : (*s)[i]);
    check_points(out.sizes.back());
  }
  return out;
}

Tensor resized(Tensor x, const Along& along) {
  for (size_t i = 0; i < along.dims.size(); ++i) {
    x = padded_to(x, along.dims[i], along.sizes[i]);
  }
  return x;
}

IntList all_but_last(const IntList& x) {
  return IntList(x.begin(), x.end() - 1);
}

// --- one dimension -----------------------------------------------------------

Tensor fft_1d(
    const Tensor& self,
    std::optional<int64_t> n,
    int64_t dim,
    const Text& norm,
    bool forward) {
  Tensor x = promoted(self, false);
  int64_t d = dim_of(x, dim), size = n.value_or(x.size(d));
  check_points(size);
  x = padded_to(x, d, size);
  int64_t scaling = scaling_of(norm, forward);
  if (x.is_complex()) {
    return _fft_c2c(x, {d}, scaling, forward);
  }
  Tensor out = _fft_r2c(x, {d}, scaling, false);
  return forward ? out : conj(out);
}

Tensor rfft_1d(
    const Tensor& self,
    std::optional<int64_t> n,
    int64_t dim,
    const Text& norm,
    bool forward) {
  FL_CHECK(
      !self.is_complex(),
      forward ? "rfft" : "ihfft",
      " expects a real input tensor, but got ",
      scalar_name(self.dtype()));
  Tensor x = promoted(self, false);
  int64_t d = dim_of(x, dim), size = n.value_or(x.size(d));
  check_points(size);
  Tensor out =
      _fft_r2c(padded_to(x, d, size), {d}, scaling_of(norm, forward), true);
  return forward ? out : conj(out);
}

Tensor irfft_1d(
    const Tensor& self,
    std::optional<int64_t> n,
    int64_t dim,
    const Text& norm,
    bool forward) {
  Tensor x = promoted(self, true);
  int64_t d = dim_of(x, dim), size = n.value_or(2 * (x.size(d) - 1));
  check_points(size);
  if (n) {
    x = padded_to(x, d, size / 2 + 1);
  }
  return _fft_c2r(forward ? conj(x) : x, {d}, scaling_of(norm, forward), size);
}

// --- several -----------------------------------------------------------------

Tensor fft_nd(
    const Tensor& self,
    const Sizes& s,
    const Sizes& dim,
    const Text& norm,
    bool forward) {
  Along along = along_of(self, s, dim);
  Tensor x = promoted(self, true);
  if (along.dims.empty()) {
    return x;
  }
  return _fft_c2c(
      resized(x, along), along.dims, scaling_of(norm, forward), forward);
}

void check_some(const Along& along, std::string_view name) {
  FL_CHECK(!along.dims.empty(), name, " must transform at least one axis");
}

Tensor rfft_nd(
    const Tensor& self,
    const Sizes& s,
    const Sizes& dim,
    const Text& norm) {
  FL_CHECK(
      !self.is_complex(),
      "rfftn expects a real-valued input tensor, but got ",
      scalar_name(self.dtype()));
  Along along = along_of(self, s, dim);
  check_some(along, "rfftn");
  return _fft_r2c(
      resized(promoted(self, false), along),
      along.dims,
      scaling_of(norm, true),
      true);
}

Tensor ihfft_nd(
    const Tensor& self,
    const Sizes& s,
    const Sizes& dim,
    const Text& norm) {
  FL_CHECK(
      !self.is_complex(),
      "Only supports floating-point dtypes, but found: ",
      scalar_name(self.dtype()));
  Along along = along_of(self, s, dim);
  check_some(along, "ihfftn");
  int64_t scaling = scaling_of(norm, false);
  Tensor out = conj(_fft_r2c(
      resized(promoted(self, false), along),
      {along.dims.back()},
      scaling,
      true));
  IntList others = all_but_last(along.dims);
  return others.empty() ? out : _fft_c2c(out, others, scaling, false);
}

// The dimensions, the last of its size as a half; and its size as a whole.
std::pair<Along, int64_t> halved(
    const Tensor& self,
    const Sizes& s,
    const Sizes& dim,
    std::string_view name) {
  Along along = along_of(self, s, dim);
  check_some(along, name);
  bool given = s && s->back() != -1;
  int64_t size = given ? s->back() : 2 * (self.size(along.dims.back()) - 1);
  check_points(size);
  along.sizes.back() = size / 2 + 1;
  return {along, size};
}

Tensor irfft_nd(
    const Tensor& self,
    const Sizes& s,
    const Sizes& dim,
    const Text& norm) {
  auto [along, size] = halved(self, s, dim, "irfftn");
  return _fft_c2r(
      resized(promoted(self, true), along),
      along.dims,
      scaling_of(norm, false),
      size);
}

Tensor hfft_nd(
    const Tensor& self,
    const Sizes& s,
    const Sizes& dim,
    const Text& norm) {
  auto [along, size] = halved(self, s, dim, "hfftn");
  int64_t scaling = scaling_of(norm, true);
  Tensor x = resized(promoted(self, true), along);
  IntList others = all_but_last(along.dims);
  if (!others.empty()) {
    x = _fft_c2c(x, others, scaling, true);
  }
  return _fft_c2r(conj(x), {along.dims.back()}, scaling, size);
}

// --- frequencies and shifts --------------------------------------------------

Tensor frequencies(
    int64_t n,
    double d,
    OptDtype dtype,
    OptLayout layout,
    OptDevice device,
    OptBool pin_memory,
    bool half) {
  Dtype made = dtype.value_or(default_dtype());
  FL_CHECK(
      is_floating(made) || is_complex(made),
      half ? "rfftfreq" : "fftfreq",
      " requires a floating point or complex dtype");
  Tensor at;
  if (half) {
    at = arange(Scalar(n / 2 + 1), made, layout, device, pin_memory);
  } else {
    Tensor front =
        arange(Scalar((n + 1) / 2), made, layout, device, pin_memory);
    Tensor back =
        arange(Scalar(-(n / 2)), Scalar(0), made, layout, device, pin_memory);
    at = cat({front, back});
  }
  return at * Scalar(1.0 / (static_cast<double>(n) * d));
}

Tensor shifted(const Tensor& self, const Sizes& dim, bool forward) {
  IntList dims, shifts;
  if (dim) {
    dims = *dim;
  } else {
    for (int64_t d = 0; d < self.dim(); ++d) {
      dims.push_back(d);
    }
  }
  if (dims.empty()) {
    return self;
  }
  for (int64_t d : dims) {
    int64_t n = self.size(d);
    shifts.push_back(forward ? n / 2 : (n + 1) / 2);
  }
  return roll(self, shifts, dims);
}

void register_shifts() {
  op("fft_fftfreq(int n, float d=1.0, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .kernel([](int64_t n,
                 double d,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin) {
        return frequencies(n, d, dtype, layout, device, pin, false);
      })
      .not_differentiable()
      .doc("The frequencies that fft gives, in its order.");
  op("fft_rfftfreq(int n, float d=1.0, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .kernel([](int64_t n,
                 double d,
                 OptDtype dtype,
                 OptLayout layout,
                 OptDevice device,
                 OptBool pin) {
        return frequencies(n, d, dtype, layout, device, pin, true);
      })
      .not_differentiable()
      .doc("The frequencies that rfft gives.");
  op("fft_fftshift(Tensor self, int[1]? dim=None) -> Tensor")
      .module("fft")
      .forms("function")
      .composite([](const Tensor& self, const Sizes& dim) {
        return shifted(self, dim, true);
      })
      .doc("Frequencies in ascending order, zero in the middle.");
  op("fft_ifftshift(Tensor self, int[1]? dim=None) -> Tensor")
      .module("fft")
      .forms("function")
      .composite([](const Tensor& self, const Sizes& dim) {
        return shifted(self, dim, false);
      })
      .doc("Frequencies as ifft takes them; undoes fftshift.");
}

template <typename F>
auto in_one(F f, bool forward) {
  return [f, forward](
             const Tensor& self,
             std::optional<int64_t> n,
             int64_t dim,
             const Text& norm) { return f(self, n, dim, norm, forward); };
}

template <typename F>
auto in_two(F f) {
  return [f](const Tensor& self,
             const Sizes& s,
             const IntList& dim,
             const Text& norm) { return f(self, s, Sizes(dim), norm); };
}

Tensor fftn_of(
    const Tensor& self,
    const Sizes& s,
    const Sizes& dim,
    const Text& norm) {
  return fft_nd(self, s, dim, norm, true);
}

Tensor ifftn_of(
    const Tensor& self,
    const Sizes& s,
    const Sizes& dim,
    const Text& norm) {
  return fft_nd(self, s, dim, norm, false);
}

void register_transforms() {
  op("_fft_c2c(Tensor self, SymInt[] dim, int normalization, bool forward) -> "
     "Tensor")
      .forms("function")
      .node("FftC2CBackward0")
      .kernel(complex_kernel)
      .grad(
          "self",
          "dim normalization forward",
          [](const Tensor& grad,
             const IntList& dim,
             int64_t normalization,
             bool forward) {
            return _fft_c2c(grad, dim, normalization, !forward);
          })
      .doc("The Fourier transform of complex numbers.");
  op("_fft_r2c(Tensor self, int[] dim, int normalization, bool onesided) -> "
     "Tensor")
      .forms("function")
      .node("FftR2CBackward0")
      .kernel(real_kernel)
      .grad(
          "self",
          "self.shape dim normalization onesided",
          [](const Tensor& grad,
             const Tensor& self,
             const IntList& dim,
             int64_t normalization,
             bool onesided) {
            return real_grad(
                grad, dim, normalization, onesided, self.size(dim.back()));
          })
      .doc("The Fourier transform of real numbers.");
  op("_fft_c2r(Tensor self, int[] dim, int normalization, SymInt "
     "last_dim_size) -> Tensor")
      .forms("function")
      .node("FftC2RBackward0")
      .kernel(hermitian_kernel)
      .grad(
          "self",
          "dim normalization",
          [](const Tensor& grad, const IntList& dim, int64_t normalization) {
            return hermitian_grad(grad, dim, normalization);
          })
      .doc("The inverse Fourier transform whose result is real.");
}

} // namespace

void register_fft() {
  register_transforms();
  register_shifts();
  op("fft_fft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> "
     "Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?fft expects a complex output tensor, but got %O")
      .composite(in_one(fft_1d, true))
      .doc("The Fourier transform along a dimension.");
  op("fft_ifft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> "
     "Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?ifft expects a complex output tensor, but got %O")
      .composite(in_one(fft_1d, false))
      .doc("The inverse Fourier transform along a dimension.");
  op("fft_rfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> "
     "Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?rfft expects a complex output tensor, but got %O")
      .composite(in_one(rfft_1d, true))
      .doc("The frequencies of real numbers that are not negative.");
  op("fft_ihfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> "
     "Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?ihfft expects a complex output tensor, but got %O")
      .composite(in_one(rfft_1d, false))
      .doc("The inverse of hfft.");
  op("fft_irfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> "
     "Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%rirfft expects a floating point output tensor, but got %O")
      .composite(in_one(irfft_1d, false))
      .doc("The inverse of rfft.");
  op("fft_hfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> "
     "Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%rhfft expects a floating point output tensor, but got %O")
      .composite(in_one(irfft_1d, true))
      .doc("The Fourier transform of a Hermitian signal, given by half of it.");
  op("fft_fftn(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?fftn expects a complex output tensor, but got %O")
      .composite(fftn_of)
      .doc("The Fourier transform along dimensions.");
  op("fft_ifftn(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?fftn expects a complex output tensor, but got %O")
      .composite(ifftn_of)
      .doc("The inverse Fourier transform along dimensions.");
  op("fft_rfftn(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?rfftn expects a complex output tensor, but got %O")
      .composite(rfft_nd)
      .doc("The Fourier transform of real numbers along dimensions.");
  op("fft_irfftn(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%rirfftn expects a floating point output tensor, but got %O")
      .composite(irfft_nd)
      .doc("The inverse of rfftn.");
  op("fft_hfftn(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%rhfftn expects a floating point output tensor, but got %O")
      .composite(hfft_nd)
      .doc("The Fourier transform of a Hermitian signal along dimensions.");
  op("fft_ihfftn(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?ihfftn expects a complex output tensor, but got %O")
      .composite(ihfft_nd)
      .doc("The inverse of hfftn.");
  op("fft_fft2(Tensor self, SymInt[1]? s=None, int[1] dim=[-2,-1], str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?fftn expects a complex output tensor, but got %O")
      .composite(in_two(fftn_of))
      .doc("The Fourier transform along two dimensions.");
  op("fft_ifft2(Tensor self, SymInt[1]? s=None, int[1] dim=[-2,-1], str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?fftn expects a complex output tensor, but got %O")
      .composite(in_two(ifftn_of))
      .doc("The inverse Fourier transform along two dimensions.");
  op("fft_rfft2(Tensor self, SymInt[1]? s=None, int[1] dim=[-2,-1], str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?rfftn expects a complex output tensor, but got %O")
      .composite(in_two(rfft_nd))
      .doc("The Fourier transform of real numbers along two dimensions.");
  op("fft_irfft2(Tensor self, SymInt[1]? s=None, int[1] dim=[-2,-1], str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%rirfftn expects a floating point output tensor, but got %O")
      .composite(in_two(irfft_nd))
      .doc("The inverse of rfft2.");
  op("fft_hfft2(Tensor self, SymInt[1]? s=None, int[1] dim=[-2,-1], str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%rhfftn expects a floating point output tensor, but got %O")
      .composite(in_two(hfft_nd))
      .doc("The Fourier transform of a Hermitian signal in two dimensions.");
  op("fft_ihfft2(Tensor self, SymInt[1]? s=None, int[1] dim=[-2,-1], str? "
     "norm=None) -> Tensor")
      .module("fft")
      .forms("function out")
      .exact_out("%?ihfftn expects a complex output tensor, but got %O")
      .composite(in_two(ihfft_nd))
      .doc("The inverse of hfft2.");
}

} // namespace flashlight
