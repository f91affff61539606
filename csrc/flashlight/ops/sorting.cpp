// Sorting, and picking by rank.
#include <algorithm>
#include <numeric>

#include <mlx/ops.h>

#include "flashlight/kernels/host.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/sorting.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

constexpr const char* kQuantileOut =
    "quantile() out tensor must be same dtype as the input tensor";

constexpr const char* kMedianOut =
    "Expected tensor for 'values' to have the same type as tensor for argument "
    "#2 'self'; but type torch.%OTensor does not equal torch.%RTensor (while "
    "checking arguments for median)|Expected tensor for argument #1 'indices' "
    "to have scalar type Long; but got torch.%OTensor instead (while checking "
    "arguments for median)";

using Picked = std::tuple<mx::array, mx::array>;

bool is_nan_value(auto x) {
  return x != x;
}

// Works on vectors; a scalar is one of one element.
template <typename F>
Picked
along(const mx::array& self, int64_t dim, bool keepdim, bool reduces, F f) {
  int axis = axis_of(dim, self);
  if (self.ndim() == 0) {
    auto [values, indices] = f(mx::reshape(self, {1}), 0);
    return {mx::reshape(values, {}), mx::reshape(indices, {})};
  }
  auto [values, indices] = f(self, axis);
  if (!reduces || keepdim) {
    return {values, indices};
  }
  return {mx::squeeze(values, axis), mx::squeeze(indices, axis)};
}

// What is picked of rows when there are none.
Picked nothing(const mx::array& x, int axis, int count) {
  mx::Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = count;
  return {mx::zeros(shape, x.dtype()), mx::zeros(shape, mx::int64)};
}

std::vector<int64_t> iota(size_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Picked sort_kernel(const mx::array& self, int64_t dim, bool descending) {
  FL_CHECK(
      !is_complex(from_mlx(self.dtype())),
      " Sort does not support complex dtypes on CPU");
  auto sorted = [&](const mx::array& x, int axis) -> Picked {
    if (x.size() == 0) {
      return nothing(x, axis, x.shape(axis));
    }
    if (!use_host() || x.dtype() == mx::uint64) {
      // Backwards twice: equal elements keep their order, NaN comes first.
      auto flipped = [axis](const mx::array& y) {
        mx::Shape from(y.ndim(), 0), to = y.shape(), step(y.ndim(), 1);
        auto d = static_cast<size_t>(axis);
        from[d] = to[d] - 1;
        to[d] = -to[d] - 1;
        step[d] = -1;
        return mx::slice(y, from, to, step);
      };
      mx::array order =
          mx::astype(mx::argsort(descending ? flipped(x) : x, axis), mx::int64);
      if (descending) {
        order = flipped(
            mx::subtract(
                mx::array(static_cast<int64_t>(x.shape(axis) - 1)), order));
      }
      return {mx::take_along_axis(x, order, axis), order};
    }
    return pick_rows(
        "Sort",
        x,
        axis,
        x.shape(axis),
        [descending](const auto& row, auto& values, auto& indices) {
          indices = iota(row.size());
          auto at = [&](int64_t i) { return row[static_cast<size_t>(i)]; };
          std::stable_sort(
              indices.begin(), indices.end(), [&](int64_t a, int64_t b) {
                return descending ? nan_less(at(b), at(a))
                                  : nan_less(at(a), at(b));
              });
          std::transform(indices.begin(), indices.end(), values.begin(), at);
        });
  };
  return along(self, dim, true, false, sorted);
}

Picked topk_kernel(
    const mx::array& self,
    int64_t k,
    int64_t dim,
    bool largest,
    bool sorted) {
  Dtype d = from_mlx(self.dtype());
  FL_CHECK(!is_complex(d), " topk does not support complex dtypes on CPU");
  FL_CHECK(d != Dtype::Bool, "topk does not support bool dtypes on CPU");
  int64_t n = self.ndim() == 0 ? 1 : self.shape(axis_of(dim, self));
  FL_CHECK(k >= 0 && k <= n, "selected index k out of range");
  auto picked = [&](const mx::array& x, int axis) -> Picked {
    int count = static_cast<int>(k);
    if (x.size() == 0 || k == 0) {
      return nothing(x, axis, count);
    }
    return pick_rows(
        "TopK",
        x,
        axis,
        count,
        [k, largest, sorted](const auto& row, auto& values, auto& indices) {
          using T = typename std::remove_cvref_t<decltype(row)>::value_type;
          using Pair = std::pair<T, int64_t>;
          std::vector<Pair> queue(row.size());
          for (size_t i = 0; i < row.size(); ++i) {
            queue[i] = {row[i], static_cast<int64_t>(i)};
          }
          auto before = [largest](const Pair& a, const Pair& b) {
            return largest ? nan_less(b.first, a.first)
                           : nan_less(a.first, b.first);
          };
          // The same algorithms as PyTorch's, so that ties fall alike.
          auto begin = queue.begin(), end = queue.end();
          if (static_cast<size_t>(k) * 64 <= queue.size()) {
            std::partial_sort(begin, begin + k, end, before);
          } else {
            std::nth_element(begin, begin + k - 1, end, before);
            if (sorted) {
              std::sort(begin, begin + k - 1, before);
            }
          }
          for (size_t i = 0; i < values.size(); ++i) {
            values[i] = queue[i].first;
            indices[i] = queue[i].second;
          }
        });
  };
  return along(self, dim, true, false, picked);
}

// The index of the median: the lower one of two, NaN first or left out.
template <bool ignore_nan, typename T>
int64_t median_index(const std::vector<T>& row) {
  auto nans = std::count_if(
      row.begin(), row.end(), [](T x) { return is_nan_value(x); });
  if (nans > 0 &&
      (!ignore_nan || nans == static_cast<std::ptrdiff_t>(row.size()))) {
    return std::find_if(
               row.begin(), row.end(), [](T x) { return is_nan_value(x); }) -
           row.begin();
  }
  std::vector<int64_t> order = iota(row.size());
  auto at = [&](int64_t i) { return row[static_cast<size_t>(i)]; };
  auto middle =
      order.begin() + (static_cast<std::ptrdiff_t>(row.size()) - nans - 1) / 2;
  std::nth_element(
      order.begin(), middle, order.end(), [&](int64_t a, int64_t b) {
        return nan_less(at(a), at(b));
      });
  return *middle;
}

template <bool ignore_nan>
Picked median_dim(const mx::array& self, int64_t dim, bool keepdim) {
  check_orders_numbers(self, "median_cpu");
  check_nonzero_size(self, axis_of(dim, self), "median");
  auto picked = [](const mx::array& x, int axis) -> Picked {
    if (x.size() == 0) {
      return nothing(x, axis, 1);
    }
    return pick_rows(
        "Median", x, axis, 1, [](const auto& row, auto& values, auto& indices) {
          indices[0] = median_index<ignore_nan>(row);
          values[0] = row[static_cast<size_t>(indices[0])];
        });
  };
  return along(self, dim, keepdim, true, picked);
}

template <bool ignore_nan>
mx::array median_all(const mx::array& self) {
  check_orders_numbers(self, "median_cpu");
  if (self.size() == 0) {
    Dtype d = from_mlx(self.dtype());
    double none = std::numeric_limits<double>::quiet_NaN();
    return is_floating(d)
               ? scalar_array(none, d)
               : scalar_array(std::numeric_limits<int64_t>::min(), d);
  }
  auto [value, index] =
      median_dim<ignore_nan>(mx::reshape(self, {-1}), 0, false);
  return value;
}

Picked kth_kernel(const mx::array& self, int64_t k, int64_t dim, bool keepdim) {
  check_orders_numbers(self, "kthvalue_cpu");
  int axis = axis_of(dim, self);
  check_nonzero_size(self, axis, "kthvalue");
  int64_t n = self.ndim() == 0 ? 1 : self.shape(axis);
  FL_CHECK(
      k >= 1 && k <= n,
      "kthvalue(): selected number k out of range for dimension ",
      axis);
  auto picked = [k](const mx::array& x, int axis) -> Picked {
    if (x.size() == 0) {
      return nothing(x, axis, 1);
    }
    return pick_rows(
        "KthValue",
        x,
        axis,
        1,
        [k](const auto& row, auto& values, auto& indices) {
          std::vector<int64_t> order = iota(row.size());
          auto at = [&](int64_t i) { return row[static_cast<size_t>(i)]; };
          std::nth_element(
              order.begin(),
              order.begin() + (k - 1),
              order.end(),
              [&](int64_t a, int64_t b) { return nan_less(at(a), at(b)); });
          indices[0] = order[static_cast<size_t>(k - 1)];
          values[0] = at(indices[0]);
        });
  };
  return along(self, dim, keepdim, true, picked);
}

Picked mode_kernel(const mx::array& self, int64_t dim, bool keepdim) {
  check_orders(self, "mode_cpu");
  check_nonzero_size(self, axis_of(dim, self), "mode");
  auto picked = [](const mx::array& x, int axis) -> Picked {
    if (x.size() == 0) {
      return nothing(x, axis, 1);
    }
    return pick_rows(
        "Mode", x, axis, 1, [](const auto& row, auto& values, auto& indices) {
          using T = typename std::remove_cvref_t<decltype(row)>::value_type;
          std::vector<std::pair<T, int64_t>> all(row.size());
          for (size_t i = 0; i < row.size(); ++i) {
            all[i] = {row[i], static_cast<int64_t>(i)};
          }
          if (all.size() <= 16) {
            // By < alone, as PyTorch: NaN stays where it is, and parts a row.
            for (size_t i = 1; i < all.size(); ++i) {
              auto next = all[i];
              bool least = next.first < all[0].first;
              size_t at = i;
              while (at > 0 && (least || next.first < all[at - 1].first)) {
                all[at] = all[at - 1];
                --at;
              }
              all[at] = next;
            }
          } else {
            std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
              return nan_less(a.first, b.first);
            });
          }
          size_t most = 0, run = 0;
          for (size_t i = 0; i < all.size(); ++i) {
            ++run;
            if (i + 1 < all.size() && all[i].first == all[i + 1].first) {
              continue;
            }
            if (run > most) {
              most = run;
              values[0] = all[i].first;
              indices[0] = all[i].second;
            }
            run = 0;
          }
        });
  };
  return along(self, dim, keepdim, true, picked);
}

Tensor sort_grad(
    const Tensor& grad,
    const Tensor& self,
    int64_t dim,
    const Tensor& indices) {
  return select_grad(grad, self, dim, true, indices);
}

Tensor
median_grad(const Tensor& grad, const Tensor& self, const Tensor& result) {
  return spread(grad, self, std::nullopt, false, result);
}

// --- quantiles ---------------------------------------------------------------

Tensor quantile_of(
    const Tensor& self,
    const Tensor& q,
    std::optional<int64_t> dim,
    bool keepdim,
    const std::string& interpolation,
    bool ignore_nan) {
  std::string name = ignore_nan ? "nanquantile()" : "quantile()";
  FL_CHECK(self.numel() > 0, name, " input tensor must be non-empty");
  FL_CHECK(q.dim() <= 1, name, " q must be a scalar or 1D tensor");
  FL_CHECK(
      self.dtype() == Dtype::Float32 || self.dtype() == Dtype::Float64,
      name,
      " input tensor must be either float or double dtype");
  FL_CHECK(
      self.dtype() == q.dtype(),
      name,
      " q tensor must be same dtype as the input tensor");
  static const std::array<std::string_view, 5> kinds = {
      "linear", "lower", "higher", "midpoint", "nearest"};
  FL_CHECK(
      std::find(kinds.begin(), kinds.end(), interpolation) != kinds.end(),
      name,
      " interpolation must be one of linear, lower, higher, midpoint or "
      "nearest, but got ",
      interpolation);
  int64_t axis = dim ? wrap_dim(*dim, self.dim()) : 0;
  IntList out_sizes;
  if (dim && self.dim() > 0) {
    out_sizes = self.sizes();
    if (keepdim) {
      out_sizes[static_cast<size_t>(axis)] = 1;
    } else {
      out_sizes.erase(out_sizes.begin() + axis);
    }
  } else if (keepdim) {
    out_sizes = IntList(self.sizes().size(), 1);
  }
  if (q.dim() > 0) {
    out_sizes.insert(out_sizes.begin(), q.numel());
  }
  // Values sorted along the last dimension.
  Tensor x = !dim || self.dim() == 0 ? reshape(self, {self.numel()})
                                     : transpose(self, axis, -1);
  x = std::get<0>(sort(x, -1));
  if (x.dim() > 1) {
    x = contiguous(x);
  }
  mx::array values = x.value();
  mx::Dtype type = values.dtype();
  // How many count in each row, as ranks: [..., 1].
  mx::array bad = mx::isnan(values);
  int n = values.shape(-1);
  mx::array top = mx::array(static_cast<float>(n - 1));
  if (ignore_nan) {
    mx::array there = mx::astype(mx::logical_not(bad), mx::float32);
    top = mx::maximum(
        mx::subtract(mx::sum(there, -1, true), mx::array(1.0f)),
        mx::array(0.0f));
  }
  mx::array last = mx::array(static_cast<float>(n - 1));
  // A row with NaN is NaN, which sorting has put last.
  mx::array lost =
      mx::logical_and(mx::any(bad, -1, true), mx::array(!ignore_nan));
  auto cast = [&](const mx::array& a) {
    return constant(mx::astype(a, type), self);
  };
  Tensor ranks =
      reshape(q, {q.numel()}) * cast(mx::where(lost, mx::array(0.0f), top)) +
      cast(mx::where(lost, last, mx::array(0.0f)));
  mx::Shape shape = values.shape();
  shape.back() = static_cast<int>(q.numel());
  ranks = expand(ranks, to_int_list(shape));
  mx::array exact = ranks.value();
  mx::array below = interpolation == "higher"    ? mx::ceil(exact)
                    : interpolation == "nearest" ? mx::round(exact)
                                                 : mx::floor(exact);
  auto at = [&](const mx::array& where) {
    return _pick(x, constant(mx::astype(where, mx::int64), self), -1);
  };
  Tensor result = at(below);
  if (interpolation == "linear") {
    result = _between(result, at(mx::ceil(exact)), ranks - cast(below));
  } else if (interpolation == "midpoint") {
    mx::array half = mx::full(shape, 0.5f, type);
    result = _between(result, at(mx::ceil(exact)), constant(half, self));
  }
  if (q.dim() == 0) {
    result = squeeze(result, -1);
  } else {
    IntList order{result.dim() - 1};
    for (int64_t d = 0; d < result.dim() - 1; ++d) {
      order.push_back(d);
    }
    result = permute(result, order);
  }
  // `axis` was swapped with the last dimension.
  if (dim && self.dim() > 1) {
    int64_t shift = q.dim();
    Tensor kept = unsqueeze(result, result.dim());
    kept = transpose(kept, axis + shift, -1);
    return reshape(kept, out_sizes);
  }
  return reshape(result, out_sizes);
}

template <bool ignore_nan>
Tensor quantile_tensor(
    const Tensor& self,
    const Tensor& q,
    std::optional<int64_t> dim,
    bool keepdim,
    const std::string& interpolation) {
  return quantile_of(self, q, dim, keepdim, interpolation, ignore_nan);
}

template <bool ignore_nan>
Tensor quantile_number(
    const Tensor& self,
    double q,
    std::optional<int64_t> dim,
    bool keepdim,
    const std::string& interpolation) {
  FL_CHECK(
      q >= 0 && q <= 1,
      ignore_nan ? "nanquantile()" : "quantile()",
      " q must be in the range [0, 1] but got ",
      q);
  return quantile_of(
      self,
      constant(scalar_array(q, self.dtype()), self),
      dim,
      keepdim,
      interpolation,
      ignore_nan);
}

} // namespace

void register_sorting() {
  op("sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, "
     "Tensor indices)")
      .forms("function method out")
      .exact_out()
      .kernel(sort_kernel)
      .grad("self", "self.shape dim indices", sort_grad)
      .doc("Elements in order along a dimension, and where they were.");
  op("sort.stable(Tensor self, *, bool? stable, int dim=-1, bool "
     "descending=False) -> (Tensor values, Tensor indices)")
      .forms("function method out")
      .node("SortBackward1")
      .exact_out()
      .kernel(
          [](const mx::array& self,
             std::optional<bool>,
             int64_t dim,
             bool descending) { return sort_kernel(self, dim, descending); })
      .grad("self", "self.shape dim indices", sort_grad)
      .doc("Elements in order along a dimension, and where they were.");
  op("argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self, int64_t dim, bool descending) {
        return std::get<1>(sort(self, dim, descending));
      })
      .doc("Where the elements are, in order along a dimension.");
  op("argsort.stable(Tensor self, *, bool stable, int dim=-1, bool "
     "descending=False) -> Tensor")
      .forms("function method out")
      .exact_out()
      .composite(
          [](const Tensor& self, bool stable, int64_t dim, bool descending) {
            return std::get<1>(
                sort(self, std::optional<bool>(stable), dim, descending));
          })
      .doc("Where the elements are, in order along a dimension.");
  op("msort(Tensor self) -> Tensor")
      .forms("function method out")
      .exact_out()
      .composite(
          [](const Tensor& self) { return std::get<0>(sort(self, 0, false)); })
      .doc("Elements in order along the first dimension.");
  op("topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool "
     "sorted=True) -> (Tensor values, Tensor indices)")
      .forms("function method out")
      .exact_out()
      .kernel(topk_kernel)
      .grad("self", "self.shape dim indices", sort_grad)
      .doc("The k greatest elements along a dimension, and where they are.");
  op("median(Tensor self) -> Tensor")
      .forms("function method")
      .kernel(median_all<false>)
      .grad("self", "self result", median_grad)
      .doc("The median of all elements.");
  op("median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, "
     "Tensor indices)")
      .forms("function method out")
      .exact_out(kMedianOut)
      .node("MedianBackward1")
      .kernel(median_dim<false>)
      .grad("self", "self.shape dim keepdim indices", select_grad)
      .doc("The medians over a dimension, and where they are.");
  op("nanmedian(Tensor self) -> Tensor")
      .forms("function method")
      .kernel(median_all<true>)
      .grad("self", "self result", median_grad)
      .doc("The median of all elements but NaN.");
  op("nanmedian.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor "
     "values, Tensor indices)")
      .forms("function method out")
      .exact_out(kMedianOut)
      .node("NanmedianBackward1")
      .kernel(median_dim<true>)
      .grad("self", "self.shape dim keepdim indices", select_grad)
      .doc("The medians over a dimension but for NaN, and where they are.");
  op("mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, "
     "Tensor indices)")
      .forms("function method out")
      .exact_out(
          "expected scalar type '%R' but got '%O' for values output|expected "
          "scalar type '%R' but got '%O' for indices output")
      .kernel(mode_kernel)
      .grad("self", "self.shape dim keepdim indices", select_grad)
      .doc("The most frequent elements over a dimension.");
  op("kthvalue(Tensor self, SymInt k, int dim=-1, bool keepdim=False) -> "
     "(Tensor values, Tensor indices)")
      .forms("function method out")
      .exact_out(
          "output values must be of same type as input|output indices must be "
          "of scalar type Long")
      .apart_from_out()
      .kernel(kth_kernel)
      .grad("self", "self.shape dim keepdim indices", select_grad)
      .doc("The k-th least elements over a dimension, and where they are.");
  op("_pick(Tensor self, Tensor index, int dim) -> Tensor")
      .forms("")
      .kernel([](const mx::array& self, const mx::array& index, int64_t dim) {
        return mx::take_along_axis(self, index, axis_of(dim, self));
      })
      .vjp()
      .doc("Elements along a dimension.");
  // From the nearer end, as torch.lerp.
  op("_between(Tensor start, Tensor end, Tensor weight) -> Tensor")
      .forms("")
      .node("LerpBackward1")
      .kernel([](const mx::array& start,
                 const mx::array& end,
                 const mx::array& weight) {
        mx::array one = mx::array(1.0f, weight.dtype());
        mx::array gap = mx::subtract(end, start);
        return mx::where(
            mx::less(weight, mx::array(0.5f, weight.dtype())),
            mx::add(start, mx::multiply(weight, gap)),
            mx::subtract(end, mx::multiply(gap, mx::subtract(one, weight))));
      })
      .vjp()
      .doc("Between start and end, by weight.");
  op("quantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, *, "
     "str interpolation='linear') -> Tensor")
      .forms("function method out")
      .exact_out(kQuantileOut)
      .composite(quantile_tensor<false>)
      .doc("Quantiles over a dimension.");
  op("quantile.scalar(Tensor self, float q, int? dim=None, bool "
     "keepdim=False, *, str interpolation='linear') -> Tensor")
      .forms("function method out")
      .exact_out(kQuantileOut)
      .composite(quantile_number<false>)
      .doc("A quantile over a dimension.");
  op("nanquantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, "
     "*, str interpolation='linear') -> Tensor")
      .forms("function method out")
      .exact_out(kQuantileOut)
      .composite(quantile_tensor<true>)
      .doc("Quantiles over a dimension, but for NaN.");
  op("nanquantile.scalar(Tensor self, float q, int? dim=None, bool "
     "keepdim=False, *, str interpolation='linear') -> Tensor")
      .forms("function method out")
      .exact_out(kQuantileOut)
      .composite(quantile_number<true>)
      .doc("A quantile over a dimension, but for NaN.");
}

} // namespace flashlight
