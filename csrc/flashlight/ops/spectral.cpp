// Fourier transforms of windows of a signal, and the windows.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <sstream>

#include "flashlight/core/runtime.h"
#include "flashlight/core/warn_once.h"
#include "flashlight/ops/creation.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/complex.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/extrema.h"
#include "flashlight/ops/functions/fft.h"
#include "flashlight/ops/functions/padding.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/sequences.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/special.h"
#include "flashlight/ops/functions/spectral.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

using OptInt = std::optional<int64_t>;

// --- short-time transforms ---------------------------------------------------

std::string shown(const OptBool& x) {
  return x ? std::to_string(int{*x}) : "None";
}

std::string shown(const Tensor& window) {
  return window.defined() ? detail::concat(
                                "torch.",
                                scalar_name(window.dtype()),
                                "Tensor{",
                                window.sizes(),
                                "}")
                          : "None";
}

// The window as long as a transform, zeros around it; ones if there is none.
Tensor widened_window(
    const Tensor& window,
    int64_t win_length,
    int64_t n_fft,
    Dtype dtype,
    Device device) {
  Tensor out = window;
  if (!out.defined()) {
    out = ones({win_length}, dtype, {}, device);
  }
  if (win_length < n_fft) {
    int64_t left = (n_fft - win_length) / 2;
    out = constant_pad_nd(out, {left, n_fft - win_length - left});
  }
  return out;
}

Tensor stft_of(
    const Tensor& self,
    int64_t n_fft,
    OptInt hop_length,
    OptInt win_length,
    const Tensor& window,
    bool normalized,
    OptBool onesided,
    OptBool return_complex,
    OptBool align_to_window) {
  int64_t hop = hop_length.value_or(n_fft >> 2);
  int64_t width = win_length.value_or(n_fft);
  bool complex = self.is_complex() || (window.defined() && window.is_complex());
  if (!window.defined()) {
    static WarnOnce warn;
    warn(
        "A window was not provided. A rectangular window will be applied,which "
        "is known to cause spectral leakage. Other windows such as "
        "torch.hann_window or torch.hamming_window are recommended to reduce "
        "spectral leakage.To suppress this warning and use a rectangular "
        "window, explicitly set `window=torch.ones(n_fft, device=<device>)`.");
  }
  FL_CHECK(
      return_complex || complex,
      "stft requires the return_complex parameter be given for real inputs, "
      "and will further require that return_complex=True in a future PyTorch "
      "release.");
  auto called = [&] {
    return detail::concat(
        "stft(torch.",
        scalar_name(self.dtype()),
        "Tensor",
        self.sizes(),
        ", n_fft=",
        n_fft,
        ", hop_length=",
        hop,
        ", win_length=",
        width,
        ", window=",
        shown(window),
        ", normalized=",
        int{normalized},
        ", onesided=",
        shown(onesided),
        ", return_complex=",
        shown(return_complex),
        ", align_to_window=",
        shown(align_to_window),
        ") ");
  };
  FL_CHECK(
      self.is_floating_point() || self.is_complex(),
      called(),
      ": expected a tensor of floating point or complex values");
  FL_CHECK(
      self.dim() == 1 || self.dim() == 2,
      called(),
      ": expected a 1D or 2D tensor");
  Tensor x = self.dim() == 1 ? unsqueeze(self, 0) : self;
  if (align_to_window.value_or(false)) {
    int64_t left = (n_fft - width) / 2;
    x = constant_pad_nd(x, {left, n_fft - width - left});
  }
  int64_t length = x.size(1);
  FL_CHECK(
      n_fft > 0 && n_fft <= length,
      called(),
      ": expected 0 < n_fft < ",
      length,
      ", but got n_fft=",
      n_fft);
  FL_CHECK(
      hop > 0, called(), ": expected hop_length > 0, but got hop_length=", hop);
  FL_CHECK(
      width > 0 && width <= n_fft,
      called(),
      ": expected 0 < win_length <= n_fft, but got win_length=",
      width);
  FL_CHECK(
      !window.defined() || (window.dim() == 1 && window.size(0) == width),
      called(),
      ": expected a 1D window tensor of size equal to win_length=",
      width,
      ", but got window with size ",
      window.sizes());
  bool half = onesided.value_or(!complex);
  FL_CHECK(
      !half || !complex,
      "Cannot have onesided output if window or input is complex");
  Tensor frames = unfold(x, 1, n_fft, hop); // (batch, frames, n_fft)
  if (window.defined() || width < n_fft) {
    frames =
        frames * widened_window(window, width, n_fft, x.dtype(), x.device());
  }
  std::optional<std::string> norm(normalized ? "ortho" : "backward");
  Tensor out =
      half ? fft_rfft(frames, {}, -1, norm) : fft_fft(frames, {}, -1, norm);
  out = transpose(out, 1, 2);
  out = self.dim() == 1 ? squeeze(out, 0) : out;
  if (return_complex.value_or(true)) {
    return out;
  }
  static WarnOnce warn;
  warn(
      "stft with return_complex=False is deprecated. In a future pytorch "
      "release, stft will return complex tensors for all inputs, and "
      "return_complex=False will raise an error.\nNote: you can still call "
      "torch.view_as_real on the complex output to recover the old return "
      "format.");
  return view_as_real(out);
}

Tensor istft_of(
    const Tensor& self,
    int64_t n_fft,
    OptInt hop_length,
    OptInt win_length,
    const Tensor& window,
    bool center,
    bool normalized,
    OptBool onesided,
    OptInt length,
    bool return_complex) {
  int64_t hop = hop_length.value_or(n_fft >> 2);
  int64_t width = win_length.value_or(n_fft);
  if (!window.defined()) {
    static WarnOnce warn;
    warn(
        "A window was not provided. A rectangular window will be applied."
        "Please provide the same window used by stft to make the inversion "
        "lossless.To suppress this warning and use a rectangular window, "
        "explicitly set `window=torch.ones(n_fft, device=<device>)`.");
  }
  auto called = [&] {
    return detail::concat(
        "istft(CPU",
        scalar_name(self.dtype()),
        "Type",
        self.sizes(),
        ", n_fft=",
        n_fft,
        ", hop_length=",
        hop,
        ", win_length=",
        width,
        ", window=",
        shown(window),
        ", center=",
        int{center},
        ", normalized=",
        int{normalized},
        ", onesided=",
        shown(onesided),
        ", length=",
        length ? std::to_string(*length) : "None",
        ", return_complex=",
        int{return_complex},
        ") ");
  };
  FL_CHECK(
      self.is_complex(),
      "istft requires a complex-valued input tensor matching the output from "
      "stft with return_complex=True.");
  FL_CHECK(self.numel() > 0, called(), ": input tensor cannot be empty.");
  FL_CHECK(
      self.dim() == 2 || self.dim() == 3,
      called(),
      ": expected a tensor with 3 or 4 dimensions, but got ",
      self.dim() + 1);
  int64_t rows = self.size(-2), frames = self.size(-1);
  int64_t whole = n_fft + hop * (frames - 1);
  bool half = onesided.value_or(rows != n_fft);
  FL_CHECK(
      rows == (half ? n_fft / 2 + 1 : n_fft),
      called(),
      ": expected the frequency dimension (3rd to the last) of the input "
      "tensor to match n_fft ",
      half ? "/ 2 + 1 when onesided=True" : "when onesided=False",
      ", but got ",
      rows);
  FL_CHECK(
      hop > 0 && hop <= width,
      called(),
      ": expected 0 < hop_length <= win_length");
  FL_CHECK(
      width > 0 && width <= n_fft,
      called(),
      ": expected 0 < win_length <= n_fft");
  FL_CHECK(
      !window.defined() || (window.dim() == 1 && window.size(0) == width),
      called(),
      ": Invalid window shape. window has to be 1D and length of `win_length`");
  FL_CHECK(
      !return_complex || !half,
      "Cannot have onesided output if window or input is complex");
  FL_CHECK(
      return_complex || !window.defined() || !window.is_complex(),
      "Complex windows are incompatible with return_complex=False");
  Tensor w = widened_window(
      window, width, n_fft, to_real(self.dtype()), self.device());
  Tensor x = transpose(self.dim() == 2 ? unsqueeze(self, 0) : self, 1, 2);
  std::optional<std::string> norm(normalized ? "ortho" : "backward");
  if (return_complex) {
    x = fft_ifft(x, {}, -1, norm);
  } else {
    x = half ? x : slice(x, -1, 0, n_fft / 2 + 1);
    x = fft_irfft(x, n_fft, -1, norm);
  }
  x = x * w;
  // What overlaps is added up, and divided by the windows' sum of squares.
  Tensor y = unfold_backward(x, {x.size(0), whole}, 1, n_fft, hop);
  Tensor squares = expand(w * w, {1, frames, n_fft});
  Tensor sum = unfold_backward(squares, {1, whole}, 1, n_fft, hop);
  int64_t from = center ? n_fft / 2 : 0;
  int64_t to = length ? from + *length : center ? whole - n_fft / 2 : whole;
  int64_t end = std::min(to, whole);
  y = slice(y, 1, from, end);
  sum = slice(sum, 1, from, end);
  FL_CHECK(
      sum.numel() == 0 || min(abs(detach(sum))).item().to_double() > 1e-11,
      called(),
      "window overlap add min: 1\n[ CPUBoolType{} ]");
  y = y / sum;
  if (to > whole) {
    warn(
        "The length of signal is shorter than the length parameter. Result is "
        "being padded with zeros in the tail. Please check your center and "
        "hop_length settings.");
    y = constant_pad_nd(y, {0, to - whole});
  }
  return self.dim() == 2 ? squeeze(y, 0) : y;
}

// --- windows -----------------------------------------------------------------

struct Options {
  OptDtype dtype;
  OptLayout layout;
  OptDevice device;
  OptBool pin_memory;
};

// f(points from 0, how many there are less one), of a window that is symmetric,
// or one short of it.
template <typename F>
Tensor window_of(
    std::string_view name,
    int64_t length,
    bool periodic,
    const Options& o,
    F f) {
  Dtype dtype = o.dtype.value_or(default_dtype());
  FL_CHECK(
      is_floating(dtype) || is_complex(dtype),
      name,
      " expects floating point dtypes, got: TensorOptions(dtype=",
      c_name(dtype),
      ", device=cpu, layout=Strided (default), requires_grad=false (default), "
      "pinned_memory=false, memory_format=(nullopt))");
  FL_CHECK(
      length >= 0,
      name,
      " requires non-negative window_length, got window_length=",
      length);
  if (length <= 1) {
    return ones({length}, dtype, o.layout, o.device, o.pin_memory);
  }
  int64_t n = length + (periodic ? 1 : 0);
  Tensor at = arange(Scalar(n), dtype, o.layout, o.device, o.pin_memory);
  Tensor out = f(at, static_cast<double>(n - 1));
  return periodic ? clone(slice(out, 0, 0, length)) : out;
}

Tensor hamming(
    std::string_view name,
    int64_t length,
    bool periodic,
    double alpha,
    double beta,
    const Options& o) {
  return window_of(
      name, length, periodic, o, [&](const Tensor& at, double last) {
        double step = 2 * std::numbers::pi / last;
        return cos(at * Scalar(step)) * Scalar(-beta) + Scalar(alpha);
      });
}

Tensor bartlett(int64_t length, bool periodic, const Options& o) {
  return window_of(
      "bartlett_window",
      length,
      periodic,
      o,
      [](const Tensor& at, double last) {
        Tensor x = at * Scalar(2.0 / last);
        int64_t middle = (at.size(0) - 1) / 2 + 1;
        Tensor down = slice(x, 0, middle) * Scalar(-1) + Scalar(2);
        return cat({slice(x, 0, 0, middle), down});
      });
}

Tensor blackman(int64_t length, bool periodic, const Options& o) {
  return window_of(
      "blackman_window",
      length,
      periodic,
      o,
      [](const Tensor& at, double last) {
        Tensor x = at * Scalar(std::numbers::pi / last);
        return cos(x * Scalar(4)) * Scalar(0.08) -
               cos(x * Scalar(2)) * Scalar(0.5) + Scalar(0.42);
      });
}

Tensor kaiser(int64_t length, bool periodic, double beta, const Options& o) {
  return window_of(
      "kaiser_window", length, periodic, o, [&](const Tensor& at, double last) {
        Tensor x = at * Scalar(2.0 / last) - Scalar(1);
        Tensor inside = clamp_min(Scalar(1) - x * x, Scalar(0));
        Tensor top = i0(full({}, Scalar(beta), at.dtype()));
        return i0(sqrt(inside) * Scalar(beta)) / top;
      });
}

} // namespace

void register_spectral() {
  op("stft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, "
     "Tensor? window=None, bool normalized=False, bool? onesided=None, bool? "
     "return_complex=None, bool? align_to_window=None) -> Tensor")
      .forms("function")
      .composite(stft_of)
      .doc("The Fourier transforms of windows of a signal.");
  op("istft(Tensor self, int n_fft, int? hop_length=None, int? "
     "win_length=None, Tensor? window=None, bool center=True, bool "
     "normalized=False, bool? onesided=None, int? length=None, bool "
     "return_complex=False) -> Tensor")
      .forms("function method")
      .composite(istft_of)
      .doc("The signal whose stft this is, or is nearest to.");
  op("hann_window(int window_length, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n, OptDtype t, OptLayout l, OptDevice d, OptBool p) {
        return hamming("hann_window", n, true, 0.5, 0.5, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The Hann window, periodic.");
  op("hann_window.periodic(int window_length, bool periodic, *, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 bool periodic,
                 OptDtype t,
                 OptLayout l,
                 OptDevice d,
                 OptBool p) {
        return hamming("hann_window", n, periodic, 0.5, 0.5, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The Hann window.");
  op("hamming_window(int window_length, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n, OptDtype t, OptLayout l, OptDevice d, OptBool p) {
        return hamming("hamming_window", n, true, 0.54, 0.46, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The Hamming window, periodic.");
  op("hamming_window.periodic(int window_length, bool periodic, *, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 bool periodic,
                 OptDtype t,
                 OptLayout l,
                 OptDevice d,
                 OptBool p) {
        return hamming("hamming_window", n, periodic, 0.54, 0.46, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The Hamming window.");
  op("hamming_window.periodic_alpha(int window_length, bool periodic, float "
     "alpha, *, ScalarType? dtype=None, Layout? layout=None, Device? "
     "device=None, bool? pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 bool periodic,
                 double alpha,
                 OptDtype t,
                 OptLayout l,
                 OptDevice d,
                 OptBool p) {
        return hamming(
            "hamming_window", n, periodic, alpha, 0.46, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The Hamming window with a coefficient of its own.");
  op("hamming_window.periodic_alpha_beta(int window_length, bool periodic, "
     "float alpha, float beta, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 bool periodic,
                 double alpha,
                 double beta,
                 OptDtype t,
                 OptLayout l,
                 OptDevice d,
                 OptBool p) {
        return hamming(
            "hamming_window", n, periodic, alpha, beta, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The Hamming window with coefficients of its own.");
  op("bartlett_window(int window_length, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n, OptDtype t, OptLayout l, OptDevice d, OptBool p) {
        return bartlett(n, true, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The triangular window, periodic.");
  op("bartlett_window.periodic(int window_length, bool periodic, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 bool periodic,
                 OptDtype t,
                 OptLayout l,
                 OptDevice d,
                 OptBool p) { return bartlett(n, periodic, {t, l, d, p}); })
      .not_differentiable()
      .doc("The triangular window.");
  op("blackman_window(int window_length, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n, OptDtype t, OptLayout l, OptDevice d, OptBool p) {
        return blackman(n, true, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The Blackman window, periodic.");
  op("blackman_window.periodic(int window_length, bool periodic, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 bool periodic,
                 OptDtype t,
                 OptLayout l,
                 OptDevice d,
                 OptBool p) { return blackman(n, periodic, {t, l, d, p}); })
      .not_differentiable()
      .doc("The Blackman window.");
  op("kaiser_window(int window_length, *, ScalarType? dtype=None, Layout? "
     "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n, OptDtype t, OptLayout l, OptDevice d, OptBool p) {
        return kaiser(n, true, 12.0, {t, l, d, p});
      })
      .not_differentiable()
      .doc("The Kaiser window, periodic.");
  op("kaiser_window.periodic(int window_length, bool periodic, *, ScalarType? "
     "dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 bool periodic,
                 OptDtype t,
                 OptLayout l,
                 OptDevice d,
                 OptBool p) { return kaiser(n, periodic, 12.0, {t, l, d, p}); })
      .not_differentiable()
      .doc("The Kaiser window.");
  op("kaiser_window.beta(int window_length, bool periodic, float beta, *, "
     "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
     "pin_memory=None) -> Tensor")
      .forms("function")
      .kernel([](int64_t n,
                 bool periodic,
                 double beta,
                 OptDtype t,
                 OptLayout l,
                 OptDevice d,
                 OptBool p) { return kaiser(n, periodic, beta, {t, l, d, p}); })
      .not_differentiable()
      .doc("The Kaiser window of a shape.");
}

} // namespace flashlight
