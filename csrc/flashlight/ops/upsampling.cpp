// Resampling of images and volumes.
//
// Note [Resampling by taps]
// All modes are linear maps along each axis, whose outputs see few inputs. A
// row of PyTorch's makes the node of its name; derivatives are those of two
// rows, _resample and _resample_backward, which are each other's.
#include <algorithm>
#include <cmath>
#include <numbers>

#include <mlx/ops.h>

#include "flashlight/kernels/taps.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/upsampling.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

enum class Mode : uint8_t {
  Nearest,
  NearestExact,
  Linear,
  Cubic,
  SmoothLinear, // antialiased
  SmoothCubic,
  SmoothLanczos,
};

using MaybeDouble = std::optional<double>;

// How far apart outputs lie in the input, in the arithmetic of its type.
template <typename T>
T spacing(int64_t in, int64_t out, bool align_corners, double scale) {
  if (align_corners) {
    return out > 1 ? static_cast<T>(in - 1) / static_cast<T>(out - 1) : T(0);
  }
  return scale > 0 ? static_cast<T>(1.0 / scale)
                   : static_cast<T>(in) / static_cast<T>(out);
}

// In two dimensions PyTorch takes equal and double sizes for what they are,
// whatever the scale.
template <typename T>
int64_t nearest(
    Mode mode,
    int64_t o,
    int64_t in,
    int64_t out,
    double scale,
    bool plane) {
  if (plane && mode == Mode::Nearest && (out == in || out == 2 * in)) {
    return out == in ? o : o / 2;
  }
  T place = static_cast<T>(o) + (mode == Mode::NearestExact ? T(0.5) : T(0));
  T source = place * spacing<T>(in, out, false, scale);
  return std::min(static_cast<int64_t>(std::floor(source)), in - 1);
}

// Keys's kernel with parameter a, at distance x.
template <typename T>
T cubic(T x, T a) {
  x = std::abs(x);
  if (x < T(1)) {
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  }
  return x < T(2) ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : T(0);
}

template <typename T>
T lanczos(T x) {
  auto sinc = [](T v) {
    if (v == T(0)) {
      return T(1);
    }
    v *= std::numbers::pi_v<T>;
    return std::sin(v) / v;
  };
  return std::abs(x) < T(3) ? sinc(x) * sinc(x / 3) : T(0);
}

template <typename T>
Taps sharp_taps(
    Mode mode,
    int64_t in,
    int64_t out,
    bool align_corners,
    double scale) {
  Taps taps(in);
  T step = spacing<T>(in, out, align_corners, scale);
  for (int64_t o = 0; o < out; ++o) {
    T place = align_corners ? step * static_cast<T>(o)
                            : step * (static_cast<T>(o) + T(0.5)) - T(0.5);
    if (mode == Mode::Linear) {
      place = std::max(place, T(0));
      if (in == out) {
        place = static_cast<T>(o);
      }
    }
    int64_t first = std::min(static_cast<int64_t>(std::floor(place)), in - 1);
    T t = std::clamp(place - static_cast<T>(first), T(0), T(1));
    if (mode == Mode::Linear) {
      taps.add(first, static_cast<double>(1 - t));
      int64_t second = in == out ? first : std::min(first + 1, in - 1);
      taps.add(second, static_cast<double>(t));
    } else {
      for (int64_t k = -1; k < 3; ++k) {
        taps.add(
            std::clamp<int64_t>(first + k, 0, in - 1),
            static_cast<double>(cubic(t - static_cast<T>(k), T(-0.75))));
      }
    }
    taps.next();
  }
  return taps;
}

// A filter that covers as much of the input as an output stands for.
template <typename T>
Taps smooth_taps(
    Mode mode,
    int64_t in,
    int64_t out,
    bool align_corners,
    double scale) {
  Taps taps(in);
  T step = spacing<T>(in, out, align_corners, scale);
  T stretch = std::max(step, T(1));
  T reach = (mode == Mode::SmoothLinear  ? T(1)
             : mode == Mode::SmoothCubic ? T(2)
                                         : T(3)) *
            stretch;
  auto filter = [&](T x) {
    return mode == Mode::SmoothLinear  ? std::max(T(0), 1 - std::abs(x))
           : mode == Mode::SmoothCubic ? cubic(x, T(-0.5))
                                       : lanczos(x);
  };
  T inverse = step >= T(1) ? T(1) / step : T(1);
  for (int64_t o = 0; o < out; ++o) {
    // Rounded to T and computed in double where PyTorch does.
    T center = static_cast<T>(
        static_cast<double>(step) * (static_cast<double>(o) + 0.5));
    auto first = std::max<int64_t>(
        static_cast<int64_t>(static_cast<double>(center - reach) + 0.5), 0);
    auto last = std::min(
        static_cast<int64_t>(static_cast<double>(center + reach) + 0.5), in);
    std::vector<T> weights;
    T total(0);
    for (int64_t i = first; i < last; ++i) {
      double place = static_cast<double>(static_cast<T>(i) - center) + 0.5;
      weights.push_back(
          filter(static_cast<T>(place * static_cast<double>(inverse))));
      total += weights.back();
    }
    for (size_t k = 0; k < weights.size(); ++k) {
      T w = total == T(0) ? weights[k] : weights[k] / total;
      taps.add(first + static_cast<int64_t>(k), static_cast<double>(w));
    }
    taps.next();
  }
  return taps;
}

Taps taps_of(
    Mode mode,
    int64_t in,
    int64_t out,
    bool align_corners,
    double scale,
    Dtype dtype,
    bool plane) {
  if (mode <= Mode::NearestExact) {
    bool wide = dtype == Dtype::Float64 && !plane;
    std::vector<int64_t> indices;
    for (int64_t o = 0; o < out; ++o) {
      indices.push_back(
          wide ? nearest<double>(mode, o, in, out, scale, plane)
               : nearest<float>(mode, o, in, out, scale, plane));
    }
    return Taps::pick(in, std::move(indices));
  }
  bool wide = dtype == Dtype::Float64 || dtype == Dtype::UInt8;
  if (mode <= Mode::Cubic) {
    return wide ? sharp_taps<double>(mode, in, out, align_corners, scale)
                : sharp_taps<float>(mode, in, out, align_corners, scale);
  }
  return wide ? smooth_taps<double>(mode, in, out, align_corners, scale)
              : smooth_taps<float>(mode, in, out, align_corners, scale);
}

mx::array widened_for_taps(const mx::array& x) {
  return x.dtype() == mx::uint8 ? x : widened(x);
}

// Axes whose size stays are left alone, whatever the scale.
bool keeps(Mode mode, bool bytes, int64_t in, int64_t out) {
  return in == out && (bytes || mode >= Mode::SmoothLinear);
}

// The last axis first, as PyTorch does where it rounds between.
mx::array resample(
    const Tensor& self,
    const IntList& sizes,
    Mode mode,
    bool align_corners,
    const DoubleList& scales) {
  mx::array x = mode <= Mode::NearestExact ? self.value()
                                           : widened_for_taps(self.value());
  for (size_t d = sizes.size(); d-- > 0;) {
    auto axis =
        static_cast<int>(self.dim() - ndim_of(sizes)) + static_cast<int>(d);
    Taps taps = taps_of(
        mode,
        x.shape(axis),
        sizes[d],
        align_corners,
        scales[d],
        self.dtype(),
        sizes.size() == 2);
    bool bytes = !taps.weight.empty() && x.dtype() == mx::uint8;
    if (keeps(mode, bytes, x.shape(axis), sizes[d])) {
      continue;
    }
    x = bytes ? apply_taps_to_bytes(x, taps, axis) : apply_taps(x, taps, axis);
  }
  return mx::astype(x, to_mlx(self.dtype()));
}

mx::array resample_back(
    const Tensor& grad,
    const IntList& sizes,
    Mode mode,
    bool align_corners,
    const DoubleList& scales) {
  mx::array x = widened(grad.value());
  for (size_t d = 0; d < sizes.size(); ++d) {
    auto axis =
        static_cast<int>(grad.dim() - ndim_of(sizes)) + static_cast<int>(d);
    Taps taps = taps_of(
        mode,
        sizes[d],
        x.shape(axis),
        align_corners,
        scales[d],
        grad.dtype(),
        sizes.size() == 2);
    if (!keeps(mode, false, sizes[d], x.shape(axis))) {
      x = apply_taps(x, taps.transposed(), axis);
    }
  }
  return mx::astype(x, to_mlx(grad.dtype()));
}

IntList spatial(const Tensor& x) {
  return IntList(x.sizes().begin() + 2, x.sizes().end());
}

// "H: 3, W: 4"
std::string named(const IntList& sizes) {
  static const char* const letters[] = {"D: ", "H: ", "W: "};
  std::string text;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const char* before = i ? ", " : "";
    text =
        detail::concat(text, before, letters[i + 3 - sizes.size()], sizes[i]);
  }
  return text;
}

struct Kind {
  const char* name;
  int dims;
  Mode mode;
  bool bytes;         // is there for uint8
  const char* kernel; // PyTorch's name of what there is not for a dtype

  bool aligns() const {
    return mode > Mode::NearestExact;
  }
};

void check(const Kind& kind, const Tensor& self, const IntList& sizes) {
  FL_CHECK(
      ndim_of(sizes) == kind.dims,
      "It is expected output_size equals to ",
      kind.dims,
      ", but got size ",
      sizes.size());
  FL_CHECK(
      self.dim() == kind.dims + 2,
      "It is expected input_size equals to ",
      kind.dims + 2,
      ", but got size ",
      self.dim());
  auto positive = [](const IntList& list) {
    return std::all_of(
        list.begin(), list.end(), [](int64_t n) { return n > 0; });
  };
  IntList in = spatial(self);
  FL_CHECK(
      positive(in) && positive(sizes),
      "Input and output sizes should be greater than 0, but got input (",
      named(in),
      kind.dims == 1 ? ") and output (" : ") output (",
      named(sizes),
      ")");
  FL_CHECK(
      self.size(1) > 0,
      "Non-empty ",
      self.dim(),
      "D data tensor expected but got a tensor with sizes ",
      self.sizes());
  if (!self.is_floating_point() &&
      !(kind.bytes && self.dtype() == Dtype::UInt8)) {
    not_implemented(kind.kernel, self.dtype());
  }
}

DoubleList list_of(std::initializer_list<MaybeDouble> scales) {
  DoubleList list;
  for (const MaybeDouble& s : scales) {
    list.push_back(s.value_or(0));
  }
  return list;
}

Tensor node_grad(
    const Kind& kind,
    const Tensor& grad,
    const Tensor& self,
    bool align_corners,
    const DoubleList& scales) {
  return _resample_backward(
      grad,
      spatial(self),
      static_cast<int64_t>(kind.mode),
      align_corners,
      scales);
}

// The row of one kind: its arguments are as many scales as dimensions, after
// align_corners where the mode has it.
template <typename... Scales>
void add_row(const Kind& kind, const std::string& schema, const char* scales) {
  Row row = op(schema)
                .forms("function out")
                .exact_out()
                .module("nn")
                .doc(
                    "Resampled to `output_size`; see "
                    "torch.nn.functional.interpolate.");
  if (kind.aligns()) {
    std::move(row)
        .kernel([kind](
                    const Tensor& self,
                    const IntList& sizes,
                    bool align_corners,
                    Scales... s) {
          check(kind, self, sizes);
          return resample(
              self, sizes, kind.mode, align_corners, list_of({s...}));
        })
        .grad(
            "self",
            std::string("self align_corners ") + scales,
            [kind](
                const Tensor& grad,
                const Tensor& self,
                bool align_corners,
                Scales... s) {
              return node_grad(
                  kind, grad, self, align_corners, list_of({s...}));
            });
  } else {
    std::move(row)
        .kernel([kind](const Tensor& self, const IntList& sizes, Scales... s) {
          check(kind, self, sizes);
          return resample(self, sizes, kind.mode, false, list_of({s...}));
        })
        .grad(
            "self",
            std::string("self ") + scales,
            [kind](const Tensor& grad, const Tensor& self, Scales... s) {
              return node_grad(kind, grad, self, false, list_of({s...}));
            });
  }
}

// Calls the row of that name by size or by scales.
Tensor by_size_or_scales(
    const Kind& kind,
    const Tensor& input,
    const std::optional<IntList>& sizes,
    const Value* align_corners,
    const std::optional<DoubleList>& scales) {
  FL_CHECK(
      sizes.has_value() != scales.has_value(),
      "Must specify exactly one of output_size and scale_factors");
  IntList out = sizes.value_or(IntList());
  int64_t dims = input.dim() - 2;
  if (scales) {
    FL_CHECK(
        static_cast<int64_t>(scales->size()) == dims,
        "Expected static_cast<int64_t>(scale_factors->size()) == "
        "spatial_dimensions to be true, but got false.  (Could this error "
        "message be improved?  If so, please report an enhancement request to "
        "PyTorch.)");
    for (size_t d = 0; d < scales->size(); ++d) {
      double size = static_cast<double>(input.sizes()[d + 2]);
      out.push_back(static_cast<int64_t>(size * (*scales)[d]));
    }
  }
  std::vector<Value> args{Value(input), Value(out)};
  if (align_corners) {
    args.push_back(*align_corners);
  }
  for (int d = 0; d < kind.dims; ++d) {
    auto i = static_cast<size_t>(d);
    args.push_back(
        scales && i < scales->size() ? Value((*scales)[i]) : Value());
  }
  Results results = call(get_op(kind.name), args.data());
  return results[0].as<Tensor>();
}

void add_rows(const Kind& kind) {
  static const char* const named_scales[] = {
      "scales", "scales_h scales_w", "scales_d scales_h scales_w"};
  const char* scales = named_scales[kind.dims - 1];
  std::string name = kind.name;
  std::string align = kind.aligns() ? ", bool align_corners" : "";
  std::string schema = name + "(Tensor self, SymInt[" +
                       std::to_string(kind.dims) + "] output_size" + align;
  std::string_view rest = scales;
  while (!rest.empty()) {
    size_t end = std::min(rest.find(' '), rest.size());
    schema += ", float? " + std::string(rest.substr(0, end)) + "=None";
    rest = rest.substr(std::min(end + 1, rest.size()));
  }
  schema += ") -> Tensor";
  if (kind.dims == 1) {
    add_row<MaybeDouble>(kind, schema, scales);
  } else if (kind.dims == 2) {
    add_row<MaybeDouble, MaybeDouble>(kind, schema, scales);
  } else {
    add_row<MaybeDouble, MaybeDouble, MaybeDouble>(kind, schema, scales);
  }
  Row row = op(name + ".vec(Tensor input, SymInt[]? output_size" + align +
               ", float[]? scale_factors) -> Tensor")
                .forms("function")
                .module("nn")
                .doc("Resampled to a size or by factors.");
  if (kind.aligns()) {
    std::move(row).composite([kind](
                                 const Tensor& input,
                                 const std::optional<IntList>& sizes,
                                 bool align_corners,
                                 const std::optional<DoubleList>& factors) {
      Value align(align_corners);
      return by_size_or_scales(kind, input, sizes, &align, factors);
    });
  } else {
    std::move(row).composite([kind](
                                 const Tensor& input,
                                 const std::optional<IntList>& sizes,
                                 const std::optional<DoubleList>& factors) {
      return by_size_or_scales(kind, input, sizes, nullptr, factors);
    });
  }
}

} // namespace

// See Note [Resampling by taps].
void register_upsampling() {
  const char* near = "compute_indices_weights_nearest";
  const char* near2 = "upsample_nearest2d_channels_last";
  const char* line = "compute_indices_weights_linear";
  const char* wide = "compute_index_ranges_weights";
  const Kind kinds[] = {
      {"upsample_nearest1d", 1, Mode::Nearest, true, near},
      {"upsample_nearest2d", 2, Mode::Nearest, true, near2},
      {"upsample_nearest3d", 3, Mode::Nearest, true, near},
      {"_upsample_nearest_exact1d", 1, Mode::NearestExact, true, near},
      {"_upsample_nearest_exact2d", 2, Mode::NearestExact, true, near2},
      {"_upsample_nearest_exact3d", 3, Mode::NearestExact, true, near},
      {"upsample_linear1d", 1, Mode::Linear, false, line},
      {"upsample_bilinear2d",
       2,
       Mode::Linear,
       true,
       "upsample_bilinear2d_channels_last"},
      {"upsample_trilinear3d", 3, Mode::Linear, false, line},
      {"upsample_bicubic2d",
       2,
       Mode::Cubic,
       true,
       "compute_indices_weights_cubic"},
      {"_upsample_bilinear2d_aa", 2, Mode::SmoothLinear, true, wide},
      {"_upsample_bicubic2d_aa", 2, Mode::SmoothCubic, true, wide},
      {"_upsample_lanczos2d_aa", 2, Mode::SmoothLanczos, true, wide},
  };
  for (const Kind& kind : kinds) {
    add_rows(kind);
  }
  op("_resample(Tensor self, SymInt[] output_size, int mode, bool "
     "align_corners, float[] scales) -> Tensor")
      .kernel([](const Tensor& self,
                 const IntList& sizes,
                 int64_t mode,
                 bool align_corners,
                 const DoubleList& scales) {
        return resample(
            self, sizes, static_cast<Mode>(mode), align_corners, scales);
      })
      .grad(
          "self",
          "self mode align_corners scales",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t mode,
             bool align_corners,
             const DoubleList& scales) {
            return _resample_backward(
                grad, spatial(self), mode, align_corners, scales);
          })
      .doc("Resampled; scales of 0 are the ratio of the sizes.");
  op("_resample_backward(Tensor grad_output, SymInt[] input_size, int mode, "
     "bool align_corners, float[] scales) -> Tensor")
      .kernel([](const Tensor& grad,
                 const IntList& sizes,
                 int64_t mode,
                 bool align_corners,
                 const DoubleList& scales) {
        return resample_back(
            grad, sizes, static_cast<Mode>(mode), align_corners, scales);
      })
      .grad(
          "grad_output",
          "grad_output mode align_corners scales",
          [](const Tensor& grad,
             const Tensor& like,
             int64_t mode,
             bool align_corners,
             const DoubleList& scales) {
            return _resample(grad, spatial(like), mode, align_corners, scales);
          })
      .doc("The gradient of _resample.");
}

} // namespace flashlight
