// How many elements, or how much weight, lies between edges: in one dimension
// or several.
#include <algorithm>
#include <cmath>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/histograms.h"
#include "flashlight/ops/functions/sequences.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

constexpr const char* kHistogramOut =
    "torch.histogram: input tensor and hist tensor should have the same dtype, "
    "but got input %r and hist %o|"
    "torch.histogram: input tensor and bin_edges tensor should have the same "
    "dtype, but got input %r and bin_edges %o for dimension 0";

constexpr std::string_view kName = "torch.histogramdd";

using Range = std::optional<DoubleList>;

std::string_view type_name(Dtype d) {
  return c_name(d);
}

void check_points(const Tensor& self, const Tensor& weight) {
  FL_CHECK(
      self.dim() >= 2,
      kName,
      ": input tensor should have at least 2 dimensions");
  if (!weight.defined()) {
    return;
  }
  FL_CHECK(
      weight.dtype() == self.dtype(),
      kName,
      ": if weight tensor is provided, input tensor and weight tensor should "
      "have the same dtype, but got input(",
      type_name(self.dtype()),
      "), and weight(",
      type_name(weight.dtype()),
      ")");
  FL_CHECK(
      weight.sizes() == IntList(self.sizes().begin(), self.sizes().end() - 1),
      kName,
      ": if weight tensor is provided it should have the same shape as the "
      "input tensor excluding its innermost dimension, but got input with "
      "shape ",
      self.sizes(),
      " and weight with shape ",
      weight.sizes());
}

void check_dtype(const Tensor& self) {
  if (self.dtype() != Dtype::Float32 && self.dtype() != Dtype::Float64) {
    not_implemented("histogramdd", self.dtype());
  }
}

mx::array contiguous_doubles(const mx::array& x) {
  mx::array out = mx::contiguous(mx::astype(x, mx::float64));
  flashlight::eval({out});
  return out;
}

// The least and greatest of each column, or those that were given.
std::vector<std::pair<double, double>> ranges_of(
    const Tensor& points,
    const Range& range) {
  auto n = static_cast<size_t>(points.size(-1));
  std::vector<std::pair<double, double>> out(n, {0, 1});
  if (range) {
    FL_CHECK(
        range->size() == 2 * n,
        kName,
        ": for a ",
        n,
        "-dimensional histogram range should have ",
        2 * n,
        " elements, but got ",
        range->size());
    for (size_t d = 0; d < n; ++d) {
      out[d] = {(*range)[2 * d], (*range)[2 * d + 1]};
    }
  } else if (points.numel() > 0) {
    mx::array least = contiguous_doubles(mx::min(points.value(), 0));
    mx::array most = contiguous_doubles(mx::max(points.value(), 0));
    for (size_t d = 0; d < n; ++d) {
      out[d] = {least.data<double>()[d], most.data<double>()[d]};
    }
  }
  for (size_t d = 0; d < n; ++d) {
    auto& [from, to] = out[d];
    FL_CHECK(
        std::isfinite(from) && std::isfinite(to),
        kName,
        ": dimension ",
        d,
        "'s range [",
        from,
        ", ",
        to,
        "] is not finite");
    FL_CHECK(
        from <= to,
        kName,
        ": min should not exceed max, but got min ",
        from,
        " max ",
        to,
        " for dimension ",
        d);
    if (from == to) { // bins have a width
      from -= 0.5;
      to += 0.5;
    }
  }
  return out;
}

TensorList
even_edges(const Tensor& points, const IntList& bins, const Range& range) {
  for (size_t d = 0; d < bins.size(); ++d) {
    FL_CHECK(
        bins[d] > 0,
        "torch.histogram(): bins must be > 0, but got ",
        bins[d],
        " for dimension ",
        d);
  }
  TensorList out;
  auto ranges = ranges_of(points, range);
  for (size_t d = 0; d < bins.size(); ++d) {
    out.push_back(linspace(
        Scalar(ranges[d].first),
        Scalar(ranges[d].second),
        bins[d] + 1,
        points.dtype()));
  }
  return out;
}

// Points (n, dimensions) and weights, by edges. All in memory; each point is
// looked for among the edges, so it falls where they say.
template <typename T>
mx::array counted(
    const mx::array& points,
    const std::optional<mx::array>& weights,
    const std::vector<mx::array>& edges,
    bool density) {
  size_t dims = edges.size();
  mx::Shape shape;
  size_t all = 1;
  for (const mx::array& e : edges) {
    shape.push_back(static_cast<int>(e.size()) - 1);
    all *= e.size() - 1;
  }
  std::vector<T> out(all, T(0));
  const T* x = points.data<T>();
  size_t n = static_cast<size_t>(points.shape(0));
  for (size_t i = 0; i < n; ++i, x += dims) {
    size_t at = 0;
    bool inside = true;
    for (size_t d = 0; d < dims && inside; ++d) {
      const T* first = edges[d].data<T>();
      const T* last = first + edges[d].size() - 1;
      inside = x[d] >= *first && x[d] <= *last;
      if (inside) {
        // The last bin has its right edge, too.
        const T* above = std::upper_bound(first, last + 1, x[d]);
        auto bin = static_cast<size_t>(above - first) - 1;
        size_t bins = edges[d].size() - 1;
        at = at * bins + std::min(bin, bins - 1);
      }
    }
    if (inside && all) {
      out[at] += weights ? weights->data<T>()[i] : T(1);
    }
  }
  if (density) {
    T sum = 0;
    for (T v : out) {
      sum += v;
    }
    for (size_t i = 0; i < all; ++i) {
      size_t rest = i;
      out[i] /= sum;
      for (size_t d = dims; d-- > 0;) {
        size_t bins = edges[d].size() - 1, bin = rest % bins;
        rest /= bins;
        const T* e = edges[d].data<T>();
        out[i] /= e[bin + 1] - e[bin];
      }
    }
  }
  return mx::array(out.data(), shape, points.dtype());
}

mx::array histogram_of(
    const Tensor& points,
    const Tensor& weight,
    const TensorList& edges,
    bool density) {
  check_points(points, weight);
  check_dtype(points);
  FL_CHECK(
      points.size(-1) == static_cast<int64_t>(edges.size()),
      kName,
      ": expected ",
      points.size(-1),
      " sequences of bin edges for a ",
      points.size(-1),
      "-dimensional histogram but got ",
      edges.size());
  std::vector<mx::array> found;
  for (size_t d = 0; d < edges.size(); ++d) {
    FL_CHECK(
        edges[d].dtype() == points.dtype(),
        kName,
        ": input tensor and bins tensors should have the same dtype, but got "
        "input with dtype ",
        type_name(points.dtype()),
        " and bins for dimension ",
        d,
        " with dtype ",
        type_name(edges[d].dtype()));
    FL_CHECK(
        edges[d].dim() == 1,
        kName,
        ": bins tensor should have one dimension, but got ",
        edges[d].dim(),
        " dimensions in the bins tensor for dimension ",
        d);
    FL_CHECK(
        edges[d].numel() > 0,
        kName,
        ": bins tensor should have at least 1 element, but got 0 elements in "
        "the bins tensor for dimension ",
        d);
    FL_CHECK(
        edges[d].numel() > 1,
        "torch.histogram(): bins must be > 0, but got 0 for dimension ",
        d);
    found.push_back(mx::contiguous(edges[d].value()));
  }
  int n = static_cast<int>(points.size(-1));
  int rows = n ? static_cast<int>(points.numel() / n) : 0;
  mx::array x = mx::contiguous(mx::reshape(points.value(), {rows, n}));
  std::optional<mx::array> w;
  std::vector<mx::array> wanted = found;
  wanted.push_back(x);
  if (weight.defined()) {
    w = mx::contiguous(mx::reshape(weight.value(), {-1}));
    wanted.push_back(*w);
  }
  flashlight::eval(wanted);
  return x.dtype() == mx::float64 ? counted<double>(x, w, found, density)
                                  : counted<float>(x, w, found, density);
}

using Several = std::tuple<Tensor, TensorList>;
using One = std::tuple<Tensor, Tensor>;

Tensor by_edges(
    const Tensor& self,
    const TensorList& bins,
    const Tensor& weight,
    bool density) {
  TensorList edges;
  for (const Tensor& b : bins) {
    edges.push_back(constant(b.value(), b));
  }
  return constant(histogram_of(self, weight, edges, density), self);
}

Several by_counts(
    const Tensor& self,
    const IntList& bins,
    const Range& range,
    const Tensor& weight,
    bool density) {
  check_points(self, weight);
  check_dtype(self);
  int64_t n = self.size(-1);
  FL_CHECK(
      ndim_of(bins) == n,
      "histogramdd: The size of bins must be equal to the innermost dimension "
      "of the input.");
  Tensor points =
      reshape(constant(self.value(), self), {n ? self.numel() / n : 0, n});
  TensorList edges = even_edges(points, bins, range);
  return {constant(histogram_of(self, weight, edges, density), self), edges};
}

Several by_count(
    const Tensor& self,
    int64_t bins,
    const Range& range,
    const Tensor& weight,
    bool density) {
  FL_CHECK(
      self.dim() >= 2,
      kName,
      ": input tensor should have at least 2 dimensions");
  IntList all(static_cast<size_t>(self.size(-1)), bins);
  return by_counts(self, all, range, weight, density);
}

// As points of one coordinate.
std::pair<Tensor, Tensor> column(const Tensor& self, const Tensor& weight) {
  Tensor x = reshape(constant(self.value(), self), {self.numel(), 1});
  Tensor w;
  if (weight.defined()) {
    w = reshape(constant(weight.value(), weight), {weight.numel()});
  }
  return {x, w};
}

One histogram_by_edges(
    const Tensor& self,
    const Tensor& bins,
    const Tensor& weight,
    bool density) {
  auto [x, w] = column(self, weight);
  return {by_edges(x, {bins}, w, density), constant(bins.value(), bins)};
}

One histogram_by_count(
    const Tensor& self,
    int64_t bins,
    const Range& range,
    const Tensor& weight,
    bool density) {
  auto [x, w] = column(self, weight);
  auto [hist, edges] = by_counts(x, {bins}, range, w, density);
  return {hist, edges[0]};
}

} // namespace

void register_histograms() {
  op("histogram.bins_tensor(Tensor self, Tensor bins, *, Tensor? weight=None, "
     "bool density=False) -> (Tensor hist, Tensor bin_edges)")
      .forms("function method out")
      .exact_out(kHistogramOut)
      .kernel(histogram_by_edges)
      .no_derivative()
      .doc("How many elements lie between edges.");
  op("histogram.bin_ct(Tensor self, int bins=100, *, float[]? range=None, "
     "Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor "
     "bin_edges)")
      .forms("function method out")
      .exact_out(kHistogramOut)
      .kernel(histogram_by_count)
      .no_derivative()
      .doc("How many elements lie in bins of one width.");
  op("histogramdd(Tensor self, int[] bins, float[]? range=None, Tensor? "
     "weight=None, bool density=False) -> (Tensor hist, Tensor[] bin_edges)")
      .forms("function")
      .kernel(by_counts)
      .no_derivative()
      .doc("How many points lie in boxes of one size.");
  op("histogramdd.int_bins(Tensor self, int bins, float[]? range=None, Tensor? "
     "weight=None, bool density=False) -> (Tensor hist, Tensor[] bin_edges)")
      .forms("function")
      .kernel(by_count)
      .no_derivative()
      .doc("How many points lie in boxes of one size.");
  op("_histogramdd_from_bin_tensors(Tensor self, Tensor[] bins, *, Tensor? "
     "weight=None, bool density=False) -> Tensor")
      .forms("function")
      .kernel(by_edges)
      .no_derivative()
      .doc("How many points lie between edges of each dimension.");
  op("histogramdd.TensorList_bins(Tensor self, Tensor[] bins, float[]? "
     "range=None, Tensor? weight=None, bool density=False) -> (Tensor hist, "
     "Tensor[] bin_edges)")
      .forms("function")
      .composite([](const Tensor& self,
                    const TensorList& bins,
                    const Range&,
                    const Tensor& weight,
                    bool density) {
        return Several(
            _histogramdd_from_bin_tensors(self, bins, weight, density), bins);
      })
      .doc("How many points lie between edges of each dimension.");
}

} // namespace flashlight
