// Images sampled at given places, and the places that an affine map names.
#include <algorithm>
#include <cmath>

#include <mlx/ops.h>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/grid_sampling.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

enum Interpolation : int64_t { kLinear, kNearest, kCubic };
enum Outside : int64_t { kZeros, kBorder, kReflection };

mx::array num(double value, const mx::array& like) {
  return mx::array(value, like.dtype());
}

// Places in one dimension of n elements.
struct Places {
  double n;
  bool align_corners;
  int64_t outside;

  // -1 and 1 are the centres of the corners, or their outer edges. In the
  // grid's own type, as PyTorch.
  mx::array from_grid(const mx::array& x) const {
    mx::array from_one = mx::add(x, num(1, x));
    mx::array place =
        align_corners
            ? mx::multiply(from_one, num((n - 1) / 2, x))
            : mx::subtract(mx::multiply(from_one, num(n / 2, x)), num(0.5, x));
    return widened(place);
  }
  mx::array clipped(const mx::array& x) const {
    return mx::minimum(mx::maximum(x, num(0, x)), num(n - 1, x));
  }
  mx::array reflected(const mx::array& x) const {
    double low = align_corners ? 0 : -0.5;
    double span = align_corners ? n - 1 : n;
    if (span == 0) {
      return mx::zeros_like(x);
    }
    mx::array away = mx::abs(mx::subtract(x, num(low, x)));
    mx::array flips = mx::floor(mx::divide(away, num(span, x)));
    mx::array extra = mx::subtract(away, mx::multiply(flips, num(span, x)));
    mx::array half = mx::multiply(flips, num(0.5, x));
    mx::array even = mx::equal(mx::floor(half), half);
    return mx::add(
        mx::where(even, extra, mx::subtract(num(span, x), extra)), num(low, x));
  }
  // Moved into the input as the mode says.
  mx::array inside(const mx::array& x) const {
    return outside == kZeros    ? x
           : outside == kBorder ? clipped(x)
                                : clipped(reflected(x));
  }
};

// One element a dimension that a sample sees: where, and how much.
struct Tap {
  mx::array place, weight;
};

std::vector<Tap>
taps_of(const mx::array& grid, const Places& places, int64_t mode) {
  mx::array x = places.from_grid(grid);
  mx::array one = mx::ones_like(x);
  if (mode == kCubic) {
    mx::array first = mx::floor(x), t = mx::subtract(x, first);
    std::vector<Tap> taps;
    for (int k = -1; k < 3; ++k) {
      constexpr double a = -0.75;
      mx::array d = mx::abs(mx::subtract(t, num(k, x)));
      mx::array d2 = mx::square(d), d3 = mx::multiply(d2, d);
      auto poly = [&](double c3, double c2, double c1, double c0) {
        return mx::add(
            mx::add(mx::multiply(d3, num(c3, x)), mx::multiply(d2, num(c2, x))),
            mx::add(mx::multiply(d, num(c1, x)), num(c0, x)));
      };
      // Keys's kernel: distances below 1 are those of the middle two.
      bool near = k == 0 || k == 1;
      mx::array weight =
          near ? poly(a + 2, -(a + 3), 0, 1) : poly(a, -5 * a, 8 * a, -4 * a);
      mx::array place = mx::stop_gradient(mx::add(first, num(k, x)));
      taps.push_back({places.inside(place), weight});
    }
    return taps;
  }
  x = places.inside(x);
  if (mode == kNearest) {
    return {{mx::round(x), one}};
  }
  mx::array first = mx::floor(x), t = mx::subtract(x, first);
  return {{first, mx::subtract(one, t)}, {mx::add(first, num(1, x)), t}};
}

// input [N, C, in...], grid [N, out..., dims]; the grid's first coordinate is
// that of the last dimension.
mx::array sample(
    const mx::array& input,
    const mx::array& grid,
    int64_t mode,
    int64_t outside,
    bool align_corners) {
  int dims = static_cast<int>(input.ndim()) - 2;
  mx::array x = widened(input), g = grid;
  int batch = x.shape(0), channels = x.shape(1);
  mx::Shape out{batch, channels};
  out.insert(out.end(), g.shape().begin() + 1, g.shape().end() - 1);
  int count = 1, area = 1;
  for (int d = 0; d < dims; ++d) {
    count *= out[static_cast<size_t>(d + 2)];
    area *= x.shape(d + 2);
  }
  if (x.size() == 0 || count == 0) {
    return mx::zeros(out, input.dtype());
  }
  mx::array elements = mx::reshape(x, {batch, channels, area});
  mx::array points = mx::reshape(g, {batch, count, dims});
  // (place in the plane, weight, whether it is inside), dimension by dimension.
  struct Sum {
    mx::array place, weight, valid;
  };
  std::vector<Sum> sums;
  for (int d = 0; d < dims; ++d) {
    mx::array coordinate = mx::squeeze(
        mx::slice(points, {0, 0, dims - 1 - d}, {batch, count, dims - d}), 2);
    int n = x.shape(d + 2);
    Places places{static_cast<double>(n), align_corners, outside};
    std::vector<Sum> next;
    for (const Tap& tap : taps_of(coordinate, places, mode)) {
      mx::array valid = mx::logical_and(
          mx::greater_equal(tap.place, num(0, tap.place)),
          mx::less_equal(tap.place, num(n - 1, tap.place)));
      mx::array index = mx::stop_gradient(
          mx::astype(
              mx::where(valid, tap.place, num(0, tap.place)), mx::int32));
      if (sums.empty()) {
        next.push_back({index, tap.weight, valid});
        continue;
      }
      for (const Sum& s : sums) {
        next.push_back(
            {mx::add(mx::multiply(s.place, mx::array(n, mx::int32)), index),
             mx::multiply(s.weight, tap.weight),
             mx::logical_and(s.valid, valid)});
      }
    }
    sums = std::move(next);
  }
  std::optional<mx::array> total;
  for (const Sum& s : sums) {
    mx::array index =
        mx::broadcast_to(mx::expand_dims(s.place, 1), {batch, channels, count});
    mx::array picked = mx::take_along_axis(elements, index, 2);
    mx::array part = mx::where(
        mx::expand_dims(s.valid, 1),
        mx::multiply(picked, mx::expand_dims(s.weight, 1)),
        num(0, picked));
    total = total ? mx::add(*total, part) : part;
  }
  return mx::astype(mx::reshape(*total, out), input.dtype());
}

void check(
    const Tensor& input,
    const Tensor& grid,
    int64_t mode,
    int64_t outside) {
  FL_CHECK(
      input.dtype() == grid.dtype(),
      "expected scalar type ",
      scalar_name(input.dtype()),
      " but found ",
      scalar_name(grid.dtype()));
  FL_CHECK(
      input.size(0) == grid.size(0),
      "grid_sampler(): expected grid and input to have same batch size, but "
      "got input with sizes ",
      input.sizes(),
      " and grid with sizes ",
      grid.sizes());
  FL_CHECK(
      grid.size(-1) == input.dim() - 2,
      "grid_sampler(): expected grid to have size ",
      input.dim() - 2,
      " in last dimension, but got grid with sizes ",
      grid.sizes());
  for (int64_t d = 2; d < input.dim(); ++d) {
    FL_CHECK(
        input.size(d) > 0,
        "grid_sampler(): expected input to have non-empty spatial dimensions, "
        "but input has sizes ",
        input.sizes(),
        " with dimension ",
        d,
        " being empty");
  }
  FL_CHECK(
      (input.dim() == 4 || input.dim() == 5) && input.dim() == grid.dim(),
      "grid_sampler(): expected 4D or 5D input and grid with same number of "
      "dimensions, but got input with sizes ",
      input.sizes(),
      " and grid with sizes ",
      grid.sizes());
  FL_CHECK(
      input.dim() == 4 || mode != kCubic,
      "grid_sampler(): bicubic interpolation only supports 4D input");
  FL_CHECK(
      mode >= kLinear && mode <= kCubic && outside >= kZeros &&
          outside <= kReflection,
      "grid_sampler(): there is no interpolation mode ",
      mode,
      " with padding mode ",
      outside);
}

mx::array sampler_kernel(
    const Tensor& input,
    const Tensor& grid,
    int64_t mode,
    int64_t outside,
    bool align_corners) {
  check(input, grid, mode, outside);
  return sample(input.value(), grid.value(), mode, outside, align_corners);
}

// n places from -1 to 1: of the centres, or within the outer edges.
mx::array line(int64_t n, bool align_corners, mx::Dtype dtype) {
  std::vector<double> places;
  for (int64_t i = 0; i < n; ++i) {
    double place =
        n > 1 ? -1.0 + 2.0 * static_cast<double>(i) / static_cast<double>(n - 1)
              : 0.0;
    if (!align_corners) {
      place *= static_cast<double>(n - 1) / static_cast<double>(n);
    }
    places.push_back(place);
  }
  return mx::array(places.begin(), {static_cast<int>(n)}, dtype);
}

// Homogeneous places of the output, [N, H W..., dims + 1].
Tensor places_of(const IntList& size, bool align_corners, const Tensor& like) {
  IntList spatial(size.begin() + 2, size.end());
  int dims = static_cast<int>(spatial.size());
  mx::Dtype dtype = to_mlx(like.dtype());
  mx::Shape shape = to_shape(spatial);
  shape.push_back(1);
  std::vector<mx::array> parts;
  for (int d = dims - 1; d >= 0; --d) {
    auto i = static_cast<size_t>(d);
    mx::Shape along(static_cast<size_t>(dims) + 1, 1);
    along[i] = shape[i];
    parts.push_back(
        mx::broadcast_to(
            mx::reshape(line(spatial[i], align_corners, dtype), along), shape));
  }
  parts.push_back(mx::ones(shape, dtype));
  mx::array base = mx::reshape(
      mx::concatenate(parts, -1),
      {1, static_cast<int>(product(spatial)), dims + 1});
  mx::Shape all = base.shape();
  all[0] = static_cast<int>(size[0]);
  return constant(mx::broadcast_to(base, all), like);
}

Tensor
affine_grid(const Tensor& theta, const IntList& size, bool align_corners) {
  FL_CHECK(
      size.size() == 4 || size.size() == 5,
      "AffineGridGenerator needs 4d (spatial) or 5d (volumetric) inputs.");
  int64_t dims = ndim_of(size) - 2;
  FL_CHECK(
      theta.dim() == 3 && theta.size(0) == size[0] && theta.size(2) == dims + 1,
      "Expected size for first two dimensions of batch2 tensor to be: [",
      size[0],
      ", ",
      dims + 1,
      "] but got: [",
      theta.size(0),
      ", ",
      theta.dim() == 3 ? theta.size(2) : 0,
      "].");
  NoGrad guard; // the row has a formula
  IntList out{size[0]};
  out.insert(out.end(), size.begin() + 2, size.end());
  out.push_back(theta.size(1));
  return reshape(
      matmul(places_of(size, align_corners, theta), transpose(theta, 1, 2)),
      out);
}

Tensor
affine_grid_grad(const Tensor& grad, const IntList& size, bool align_corners) {
  Tensor flat = reshape(grad, {size[0], -1, grad.size(-1)});
  return matmul(transpose(flat, 1, 2), places_of(size, align_corners, grad));
}

} // namespace

void register_grid_sampling() {
  constexpr int numbers = kBools + kIntegers + kComplexes;
  op("grid_sampler_2d(Tensor input, Tensor grid, int interpolation_mode, int "
     "padding_mode, bool align_corners) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .refuse(numbers, "grid_sampler_2d_cpu_kernel_impl")
      .kernel(sampler_kernel)
      .vjp()
      .doc("Images sampled where `grid` says.");
  op("grid_sampler_3d(Tensor input, Tensor grid, int interpolation_mode, int "
     "padding_mode, bool align_corners) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .refuse(numbers, "grid_sampler3d_cpu")
      .kernel(sampler_kernel)
      .vjp()
      .doc("Volumes sampled where `grid` says.");
  op("grid_sampler(Tensor input, Tensor grid, int interpolation_mode, int "
     "padding_mode, bool align_corners) -> Tensor")
      .forms("function")
      .composite([](const Tensor& input,
                    const Tensor& grid,
                    int64_t mode,
                    int64_t outside,
                    bool align_corners) {
        return input.dim() == 5
                   ? grid_sampler_3d(input, grid, mode, outside, align_corners)
                   : grid_sampler_2d(input, grid, mode, outside, align_corners);
      })
      .doc("Images or volumes sampled where `grid` says.");
  op("affine_grid_generator(Tensor theta, SymInt[] size, bool align_corners) "
     "-> Tensor")
      .forms("function")
      .kernel(affine_grid)
      .grad("theta", "size align_corners", affine_grid_grad)
      .doc("The places that an affine map moves those of the output to.");
}

} // namespace flashlight
