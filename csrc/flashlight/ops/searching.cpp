// Distinct values, searches in sorted values, membership, counts.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/kernels/host.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

constexpr const char* kSearchOut =
    "torch.searchsorted(): output tensor's dtype is wrong, it can only be "
    "Int(int32) or Long(int64) depending on whether out_int32 flag is True, "
    "but we got output tensor's dtype %O and out_int32 flag is False";

// --- unique ------------------------------------------------------------------

using Unique = std::tuple<mx::array, mx::array, mx::array>;

mx::array none() {
  return mx::zeros({0}, mx::int64);
}

mx::array from_vector(const std::vector<int64_t>& v, mx::Shape shape) {
  return v.empty() ? mx::zeros(shape, mx::int64)
                   : mx::array(v.data(), std::move(shape), mx::int64);
}

// A value now: how many results there are depends on it.
mx::array evaluated(const mx::array& x, mx::Dtype type) {
  mx::array y = mx::contiguous(mx::astype(x, type));
  eval({y});
  return y;
}

// Slices 0..n-1 grouped by `same`, in the order given: which slice stands for
// each group, the group of each slice, and the sizes of groups.
struct Groups {
  std::vector<int64_t> first, group, counts;

  template <typename Same>
  Groups(const std::vector<int64_t>& order, Same same) : group(order.size()) {
    for (size_t i = 0; i < order.size(); ++i) {
      if (i == 0 || !same(order[i - 1], order[i])) {
        first.push_back(order[i]);
        counts.push_back(0);
      }
      ++counts.back();
      group[static_cast<size_t>(order[i])] =
          static_cast<int64_t>(first.size()) - 1;
    }
  }
  mx::array picks() const {
    return from_vector(first, {static_cast<int>(first.size())});
  }
  mx::array sizes() const {
    return from_vector(counts, {static_cast<int>(counts.size())});
  }
};

std::vector<int64_t> in_order(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

void check_unique(const mx::array& x) {
  Dtype d = from_mlx(x.dtype());
  if (is_complex(d)) {
    not_implemented("unique", d);
  }
}

Unique unique_flat(
    const mx::array& self,
    bool sorted,
    bool return_inverse,
    bool return_counts) {
  check_unique(self);
  mx::array flat = mx::reshape(self, {-1});
  mx::Dtype type = ordered_type(self.dtype());
  mx::array x = evaluated(flat, type);
  std::vector<int64_t> order = in_order(static_cast<int64_t>(x.size()));
  Unique out{none(), none(), none()};
  for_ordered(type, [&](auto zero) {
    using T = decltype(zero);
    const T* v = x.data<T>();
    if (sorted) {
      std::stable_sort(order.begin(), order.end(), [v](int64_t a, int64_t b) {
        return nan_less(v[a], v[b]);
      });
    }
    Groups groups(order, [v](int64_t a, int64_t b) { return v[a] == v[b]; });
    std::get<0>(out) = groups.first.empty() ? mx::zeros({0}, self.dtype())
                                            : mx::take(flat, groups.picks(), 0);
    if (return_inverse) {
      std::get<1>(out) = from_vector(groups.group, self.shape());
    }
    if (return_counts) {
      std::get<2>(out) = groups.sizes();
    }
  });
  return out;
}

// Slices along a dimension, each compared as a row of numbers.
Unique unique_slices(
    const mx::array& self,
    int64_t dim,
    bool consecutive,
    bool return_inverse,
    bool return_counts,
    std::string_view name) {
  check_unique(self);
  int axis = axis_of(dim, self);
  bool empty = self.size() == 0;
  if (empty && self.shape(axis) == 0) {
    for (int d = 0; d < static_cast<int>(self.ndim()); ++d) {
      FL_CHECK(
          d == axis || self.shape(d) != 0,
          "There are 0 sized dimensions, and they aren't selected, so unique "
          "cannot be applied");
    }
    return {self, none(), none()};
  }
  FL_CHECK(
      !empty,
      "There are 0 sized dimensions, and they aren't selected, so unique "
      "cannot be applied");
  (void)name;
  mx::Dtype type = ordered_type(self.dtype());
  mx::array front = self.ndim() == 0 ? mx::reshape(self, {1, 1})
                                     : mx::moveaxis(self, axis, 0);
  int64_t n = front.shape(0);
  auto width = static_cast<int64_t>(front.size()) / std::max<int64_t>(n, 1);
  mx::array x = evaluated(front, type);
  std::vector<int64_t> order = in_order(n);
  Unique out{none(), none(), none()};
  for_ordered(type, [&](auto zero) {
    using T = decltype(zero);
    const T* v = x.data<T>();
    if (!consecutive) {
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        const T *p = v + a * width, *q = v + b * width;
        for (int64_t i = 0; i < width; ++i) {
          if (p[i] < q[i]) {
            return true;
          }
          if (q[i] < p[i]) {
            return false;
          }
        }
        return false;
      });
    }
    Groups groups(order, [&](int64_t a, int64_t b) {
      return std::equal(v + a * width, v + (a + 1) * width, v + b * width);
    });
    std::get<0>(out) = mx::take(self, groups.picks(), axis);
    if (return_inverse) {
      std::get<1>(out) = from_vector(groups.group, {static_cast<int>(n)});
    }
    if (return_counts) {
      std::get<2>(out) = groups.sizes();
    }
  });
  return out;
}

// PyTorch's results require a gradient, which there is no way to get.
Tensor no_derivative(std::string_view name) {
  fail<NotImplementedError>(
      "the derivative for '", name, "' is not implemented.");
}

// --- searches ----------------------------------------------------------------

struct Search {
  bool int32, right;
};

void check_side(const std::optional<std::string>& side, bool& right) {
  if (!side) {
    return;
  }
  FL_CHECK(
      *side == "left" || *side == "right",
      "torch.searchsorted(): side can only be 'left' or 'right' but got ",
      *side);
  FL_CHECK(
      !right || *side == "right",
      "torch.searchsorted(): side and right can't be set to opposites, got "
      "side of ",
      *side,
      " while right was True");
  right = *side == "right";
}

// Where in the last dimension of `sorted` each of `values` would go.
mx::array search(
    const mx::array& sorted,
    const mx::array& values,
    const std::optional<mx::array>& sorter,
    Search how) {
  mx::Dtype type = ordered_type(
      mx::promote_types(
          ordered_type(sorted.dtype()), ordered_type(values.dtype())));
  int64_t n = sorted.ndim() ? sorted.shape(-1) : 1;
  bool shared = sorted.ndim() <= 1;
  int64_t per = values.ndim() && !shared ? values.shape(-1)
                                         : static_cast<int64_t>(values.size());
  auto loop = [=, has_sorter = sorter.has_value()](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(type, [&](auto zero) {
      using T = decltype(zero);
      const T* keys = in[0].data<T>();
      const T* x = in[1].data<T>();
      const int64_t* order = has_sorter ? in[2].data<int64_t>() : nullptr;
      auto* y = out[0].data<int64_t>();
      auto total = static_cast<int64_t>(in[1].size());
      for (int64_t i = 0; i < total; ++i) {
        int64_t row = shared ? 0 : i / per;
        int64_t from = 0, to = n;
        while (from < to) {
          int64_t mid = from + (to - from) / 2;
          T key = keys[row * n + (order ? order[row * n + mid] : mid)];
          bool after = how.right ? !(key > x[i]) : !(key >= x[i]);
          if (after) {
            from = mid + 1;
          } else {
            to = mid;
          }
        }
        y[i] = from;
      }
    });
  };
  std::vector<mx::array> inputs = {
      mx::astype(sorted, type), mx::astype(values, type)};
  if (sorter) {
    inputs.push_back(*sorter);
  }
  mx::array found =
      host_op("SearchSorted", inputs, {{values.shape(), mx::int64}}, loop)[0];
  return how.int32 ? mx::astype(found, mx::int32) : found;
}

mx::array searchsorted_kernel(
    const mx::array& sorted,
    const mx::array& self,
    bool out_int32,
    bool right,
    const std::optional<std::string>& side,
    const std::optional<mx::array>& sorter) {
  check_side(side, right);
  for (const mx::array* x : {&sorted, &self}) {
    Dtype d = from_mlx(x->dtype());
    if (is_complex(d) || d == Dtype::Bool) {
      not_implemented("searchsorted_out_cpu", d);
    }
  }
  FL_CHECK(
      sorted.ndim() != 0,
      "torch.searchsorted(): input value can be a scalar only when boundaries "
      "tensor dimension is 1, but we got boundaries tensor dim(0)");
  bool matches = sorted.ndim() == self.ndim();
  for (size_t d = 0; matches && d + 1 < sorted.ndim(); ++d) {
    matches =
        sorted.shape(static_cast<int>(d)) == self.shape(static_cast<int>(d));
  }
  FL_CHECK(
      sorted.ndim() == 1 || self.ndim() != 0,
      "torch.searchsorted(): input value can be a scalar only when boundaries "
      "tensor dimension is 1, but we got boundaries tensor dim(",
      sorted.ndim(),
      ") and input value's dim(0) numel(1)");
  FL_CHECK(
      sorted.ndim() == 1 || matches,
      "torch.searchsorted(): boundaries tensor should be 1 dimension or the "
      "first N-1 dimensions of boundaries tensor and input value tensor must "
      "match, but we got boundaries tensor ",
      to_int_list(sorted.shape()),
      " and input value tensor ",
      to_int_list(self.shape()));
  if (sorter) {
    FL_CHECK(
        sorter->shape() == sorted.shape(),
        "torch.searchsorted(): boundary and sorter must have the same size, "
        "but got boundary tensor ",
        to_int_list(sorted.shape()),
        "and got sorter tensor ",
        to_int_list(sorter->shape()));
    FL_CHECK(
        sorter->dtype() == mx::int64,
        "torch.searchsorted(): sorter must be a tensor of long dtype but got "
        "dtype ",
        scalar_name(from_mlx(sorter->dtype())));
    if (sorter->size() != 0) {
      mx::array low = mx::min(*sorter), high = mx::max(*sorter);
      eval({low, high});
      FL_CHECK_INDEX(
          low.item<int64_t>() >= 0 && high.item<int64_t>() < sorted.shape(-1),
          "torch.searchsorted(): sorter index out of range");
    }
  }
  return search(sorted, self, sorter, {out_int32, right});
}

mx::array number_like(const Scalar& value, const mx::array& x) {
  Dtype d = from_mlx(x.dtype());
  Dtype to = !value.is_integral() && is_integral(d, true) ? default_dtype() : d;
  return scalar_array(value, to);
}

mx::array bucketize_kernel(
    const mx::array& self,
    const mx::array& boundaries,
    bool out_int32,
    bool right) {
  FL_CHECK(
      boundaries.ndim() == 1,
      "boundaries tensor must be 1 dimension, but got dim(",
      boundaries.ndim(),
      ")");
  return search(boundaries, self, std::nullopt, {out_int32, right});
}

// --- membership and counts ---------------------------------------------------

mx::array isin_arrays(const mx::array& elements, const mx::array& tests) {
  mx::Dtype type = ordered_type(
      mx::promote_types(
          ordered_type(elements.dtype()), ordered_type(tests.dtype())));
  auto loop =
      [type](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        for_ordered(type, [&](auto zero) {
          using T = decltype(zero);
          const T *x = in[0].data<T>(), *t = in[1].data<T>();
          std::vector<T> all(t, t + in[1].size());
          std::sort(all.begin(), all.end(), nan_less<T>);
          bool* y = out[0].data<bool>();
          for (size_t i = 0; i < in[0].size(); ++i) {
            y[i] =
                x[i] == x[i] &&
                std::binary_search(all.begin(), all.end(), x[i], nan_less<T>);
          }
        });
      };
  return host_op(
      "IsIn",
      {mx::astype(elements, type), mx::astype(tests, type)},
      {{elements.shape(), mx::bool_}},
      loop)[0];
}

mx::array
isin_kernel(const mx::array& elements, const mx::array& tests, bool invert) {
  for (const mx::array* x : {&elements, &tests}) {
    Dtype d = from_mlx(x->dtype());
    FL_CHECK(
        !is_complex(d) && d != Dtype::Bool,
        "Unsupported input type encountered for isin(): ",
        scalar_name(d));
  }
  mx::array found = isin_arrays(elements, tests);
  return invert ? mx::logical_not(found) : found;
}

mx::array histc_kernel(
    const mx::array& self,
    int64_t bins,
    const Scalar& low,
    const Scalar& high) {
  Dtype d = from_mlx(self.dtype());
  if (d != Dtype::Float32 && d != Dtype::Float64 && d != Dtype::Float16 &&
      d != Dtype::BFloat16) {
    not_implemented("histogram_cpu", d);
  }
  FL_CHECK(
      bins > 0,
      "torch.histogram(): bins must be > 0, but got ",
      bins,
      " for dimension 0");
  double from = low.to_double(), to = high.to_double();
  if (from == to && self.size() > 0) {
    mx::array least = mx::astype(mx::min(self), mx::float32);
    mx::array most = mx::astype(mx::max(self), mx::float32);
    if (d == Dtype::Float64) {
      least = mx::min(self);
      most = mx::max(self);
      eval({least, most});
      from = least.item<double>();
      to = most.item<double>();
    } else {
      eval({least, most});
      from = least.item<float>();
      to = most.item<float>();
    }
  }
  if (from == to) {
    from -= 1;
    to += 1;
  }
  FL_CHECK(
      std::isfinite(from) && std::isfinite(to),
      "torch.histc: range of [",
      from,
      ", ",
      to,
      "] is not finite");
  FL_CHECK(from < to, "torch.histc: max must be larger than min");
  mx::Dtype type = ordered_type(self.dtype());
  auto loop = [type, bins, from, to](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(type, [&](auto zero) {
      using T = decltype(zero);
      const T* x = in[0].data<T>();
      T* y = out[0].data<T>();
      std::fill(y, y + bins, T(0));
      T a = static_cast<T>(from), b = static_cast<T>(to);
      for (size_t i = 0; i < in[0].size(); ++i) {
        if (x[i] >= a && x[i] <= b) {
          auto at =
              static_cast<int64_t>((x[i] - a) * static_cast<T>(bins) / (b - a));
          y[std::min(at, bins - 1)] += T(1);
        }
      }
    });
  };
  mx::array counts = host_op(
      "HistC",
      {mx::astype(self, type)},
      {{{static_cast<int>(bins)}, type}},
      loop)[0];
  return mx::astype(counts, self.dtype());
}

mx::array bincount_kernel(
    const mx::array& self,
    const std::optional<mx::array>& weights,
    int64_t minlength) {
  Dtype d = from_mlx(self.dtype());
  FL_CHECK(minlength >= 0, "minlength should be >= 0");
  if (!is_integral(d, false)) {
    not_implemented("bincount_cpu", d);
  }
  mx::Dtype type = !weights                          ? mx::int64
                   : weights->dtype() == mx::float32 ? mx::float32
                                                     : mx::float64;
  if (self.ndim() == 1 && self.size() == 0) {
    return mx::zeros({static_cast<int>(minlength)}, type);
  }
  mx::array x = evaluated(self, mx::int64);
  const auto* v = x.data<int64_t>();
  FL_CHECK(
      self.ndim() == 1 && *std::min_element(v, v + x.size()) >= 0,
      "bincount only supports 1-d non-negative integral inputs.");
  FL_CHECK(
      !weights || (weights->ndim() == 1 && weights->size() == self.size()),
      "weights should be 1-d and have the same length as input");
  int64_t n = std::max(minlength, *std::max_element(v, v + x.size()) + 1);
  mx::array w = weights ? mx::astype(*weights, type)
                        : mx::ones({static_cast<int>(x.size())}, mx::int64);
  auto loop =
      [type](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        for_ordered(type, [&](auto zero) {
          using T = decltype(zero);
          const auto* at = in[0].data<int64_t>();
          const T* add = in[1].data<T>();
          T* y = out[0].data<T>();
          std::fill(y, y + out[0].size(), T(0));
          for (size_t i = 0; i < in[0].size(); ++i) {
            y[at[i]] += add[i];
          }
        });
      };
  return host_op("BinCount", {x, w}, {{{static_cast<int>(n)}, type}}, loop)[0];
}

} // namespace

void register_searching() {
  op("_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool "
     "return_counts=False) -> (Tensor, Tensor, Tensor)")
      .forms("function")
      .kernel([](const mx::array& self, bool, bool inverse, bool counts) {
        return unique_flat(self, true, inverse, counts);
      })
      .grad("self", "", [](const Tensor&) { return no_derivative("_unique2"); })
      .doc("The distinct elements in order.");
  op("unique_dim(Tensor self, int dim, bool sorted=True, bool "
     "return_inverse=False, bool return_counts=False) -> (Tensor, Tensor, "
     "Tensor)")
      .forms("function")
      .kernel([](const mx::array& self,
                 int64_t dim,
                 bool,
                 bool inverse,
                 bool counts) {
        return unique_slices(self, dim, false, inverse, counts, "unique_dim");
      })
      .grad(
          "self", "", [](const Tensor&) { return no_derivative("unique_dim"); })
      .doc("The distinct slices along a dimension, in order.");
  op("unique_consecutive(Tensor self, bool return_inverse=False, bool "
     "return_counts=False, int? dim=None) -> (Tensor, Tensor, Tensor)")
      .forms("function")
      .kernel([](const mx::array& self,
                 bool inverse,
                 bool counts,
                 std::optional<int64_t> dim) {
        return dim ? unique_slices(
                         self,
                         *dim,
                         true,
                         inverse,
                         counts,
                         "unique_consecutive")
                   : unique_flat(self, false, inverse, counts);
      })
      .grad(
          "self",
          "",
          [](const Tensor&) { return no_derivative("unique_consecutive"); })
      .doc("Elements without repetitions of the one before.");
  op("searchsorted.Tensor(Tensor sorted_sequence, Tensor self, *, bool "
     "out_int32=False, bool right=False, str? side=None, Tensor? "
     "sorter=None) -> Tensor")
      .forms("function out")
      .exact_out(kSearchOut)
      .kernel(searchsorted_kernel)
      .not_differentiable()
      .doc("Where values would go in sorted ones.");
  op("searchsorted.Scalar(Tensor sorted_sequence, Scalar self, *, bool "
     "out_int32=False, bool right=False, str? side=None, Tensor? "
     "sorter=None) -> Tensor")
      .forms("function out")
      .exact_out(kSearchOut)
      .kernel([](const mx::array& sorted,
                 const Scalar& self,
                 bool out_int32,
                 bool right,
                 const std::optional<std::string>& side,
                 const std::optional<mx::array>& sorter) {
        return searchsorted_kernel(
            sorted, number_like(self, sorted), out_int32, right, side, sorter);
      })
      .not_differentiable()
      .doc("Where a value would go in sorted ones.");
  op("bucketize.Tensor(Tensor self, Tensor boundaries, *, bool "
     "out_int32=False, bool right=False) -> Tensor")
      .forms("function out")
      .exact_out(kSearchOut)
      .kernel(bucketize_kernel)
      .not_differentiable()
      .doc("The buckets between boundaries that values fall into.");
  op("bucketize.Scalar(Scalar self, Tensor boundaries, *, bool "
     "out_int32=False, bool right=False) -> Tensor")
      .forms("function")
      .kernel([](const Scalar& self,
                 const mx::array& boundaries,
                 bool out_int32,
                 bool right) {
        return bucketize_kernel(
            number_like(self, boundaries), boundaries, out_int32, right);
      })
      .not_differentiable()
      .doc("The bucket between boundaries that a value falls into.");
  op("isin.Tensor_Tensor(Tensor elements, Tensor test_elements, *, bool "
     "assume_unique=False, bool invert=False) -> Tensor")
      .forms("function out")
      .exact_out()
      .kernel([](const mx::array& elements,
                 const mx::array& tests,
                 bool,
                 bool invert) { return isin_kernel(elements, tests, invert); })
      .not_differentiable()
      .doc("True where an element is one of the others.");
  op("isin.Tensor_Scalar(Tensor elements, Scalar test_element, *, bool "
     "assume_unique=False, bool invert=False) -> Tensor")
      .forms("function out")
      .exact_out()
      .kernel(
          [](const mx::array& elements, const Scalar& test, bool, bool invert) {
            return isin_kernel(elements, number_like(test, elements), invert);
          })
      .not_differentiable()
      .doc("True where an element is that number.");
  op("isin.Scalar_Tensor(Scalar element, Tensor test_elements, *, bool "
     "assume_unique=False, bool invert=False) -> Tensor")
      .forms("function out")
      .exact_out()
      .kernel(
          [](const Scalar& element, const mx::array& tests, bool, bool invert) {
            return isin_kernel(number_like(element, tests), tests, invert);
          })
      .not_differentiable()
      .doc("True if the number is one of the others.");
  op("histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor")
      .forms("function method out")
      .exact_out(
          "torch.histogram: input tensor and hist tensor should have the same "
          "dtype, but got input %r and hist %o")
      .kernel(histc_kernel)
      .not_differentiable()
      .doc("How many elements fall into bins of equal width.");
  op("bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> "
     "Tensor")
      .forms("function method")
      .kernel(bincount_kernel)
      .not_differentiable()
      .doc("How often each number occurs, or the sums of their weights.");
}

} // namespace flashlight
