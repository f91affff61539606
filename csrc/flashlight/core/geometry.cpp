#include "flashlight/core/geometry.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <mlx/ops.h>

#include "flashlight/core/error.h"
#include "flashlight/core/overlap.h"

namespace flashlight {

namespace {

// Axes of `strides`, widest stride first (stable).
std::vector<size_t> by_stride(const IntList& strides) {
  std::vector<size_t> order(strides.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return strides[a] > strides[b];
  });
  return order;
}

mx::array flat_indices(const Geometry& view) {
  mx::array index = mx::array(view.offset, mx::int64);
  for (int64_t d = 0; d < view.ndim(); ++d) {
    auto i = static_cast<size_t>(d);
    mx::Shape shape(view.sizes.size(), 1);
    shape[i] = static_cast<mx::ShapeElem>(view.sizes[i]);
    mx::array along = mx::multiply(
        mx::arange(0, static_cast<int>(view.sizes[i]), mx::int64),
        mx::array(view.strides[i], mx::int64));
    index = mx::add(index, mx::reshape(along, shape));
  }
  return mx::broadcast_to(index, to_shape(view.sizes));
}

// A row-major factoring of a flat storage in which the view's strides are
// strides of dimensions: sizes such that lower() finds a Window, if any.
std::optional<Layout> refactor(int64_t numel, const Geometry& view) {
  std::vector<int64_t> strides;
  for (size_t i = 0; i < view.sizes.size(); ++i) {
    if (view.sizes[i] > 1 && view.strides[i] > 0) {
      strides.push_back(view.strides[i]);
    }
  }
  std::sort(strides.begin(), strides.end(), std::greater<>());
  strides.erase(std::unique(strides.begin(), strides.end()), strides.end());
  Layout layout;
  int64_t rest = numel;
  for (int64_t s : strides) {
    if (rest % s != 0) {
      return std::nullopt;
    }
    layout.sizes.push_back(rest / s);
    layout.strides.push_back(s);
    rest = s;
  }
  layout.sizes.push_back(rest);
  layout.strides.push_back(1);
  return layout;
}

mx::array apply(const mx::array& array, const Window& w, const IntList& sizes) {
  mx::array out = w.full ? array : mx::slice(array, w.starts, w.stops, w.steps);
  if (!w.squeezed.empty()) {
    out = mx::squeeze(out, w.squeezed);
  }
  if (!std::is_sorted(w.order.begin(), w.order.end())) {
    out = mx::transpose(out, w.order);
  }
  if (!w.expanded.empty()) {
    out = mx::expand_dims(out, w.expanded);
  }
  return w.broadcast ? mx::broadcast_to(out, to_shape(sizes)) : out;
}

mx::array
apply_update(const mx::array& array, const Window& w, const mx::array& value) {
  mx::array v = value;
  if (!w.expanded.empty()) {
    v = mx::squeeze(v, w.expanded);
  }
  if (!std::is_sorted(w.order.begin(), w.order.end())) {
    std::vector<int> inverse(w.order.size());
    for (size_t i = 0; i < w.order.size(); ++i) {
      inverse[static_cast<size_t>(w.order[i])] = static_cast<int>(i);
    }
    v = mx::transpose(v, inverse);
  }
  if (!w.squeezed.empty()) {
    v = mx::expand_dims(v, w.squeezed);
  }
  return w.full ? v : mx::slice_update(array, v, w.starts, w.stops, w.steps);
}

} // namespace

mx::Shape to_shape(const IntList& sizes) {
  mx::Shape shape;
  for (int64_t n : sizes) {
    if (n > std::numeric_limits<mx::ShapeElem>::max()) {
      fail(
          "a dimension of ",
          n,
          " elements is not supported: MLX dimensions end at 2^31 - 1");
    }
    shape.push_back(static_cast<mx::ShapeElem>(n));
  }
  return shape;
}

IntList to_int_list(const mx::Shape& shape) {
  return IntList(shape.begin(), shape.end());
}

IntList contiguous_strides(const IntList& sizes) {
  IntList strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<int64_t>(sizes[i], 1);
  }
  return strides;
}

IntList channels_last_strides(const IntList& sizes) {
  size_t n = sizes.size();
  FL_CHECK(
      n == 4 || n == 5,
      "required rank ",
      n < 5 ? 4 : 5,
      " tensor to use channels_last",
      n < 5 ? "" : "_3d",
      " format");
  IntList strides(n);
  int64_t stride = 1;
  auto set = [&](size_t i) {
    strides[i] = stride;
    stride *= sizes[i]; // to 0, where one is
  };
  set(1);
  for (size_t i = n; i-- > 2;) {
    set(i);
  }
  set(0);
  return strides;
}

IntList strides_for(const IntList& sizes, MemoryFormat format) {
  switch (format) {
    case MemoryFormat::ChannelsLast:
      FL_CHECK(
          sizes.size() == 4,
          "required rank 4 tensor to use channels_last format");
      return channels_last_strides(sizes);
    case MemoryFormat::ChannelsLast3d:
      FL_CHECK(
          sizes.size() == 5,
          "required rank 5 tensor to use channels_last_3d format");
      return channels_last_strides(sizes);
    default:
      return contiguous_strides(sizes);
  }
}

bool is_contiguous(const IntList& sizes, const IntList& strides) {
  int64_t expected = 1;
  bool dense = true;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == 0) {
      return true;
    }
    if (sizes[i] != 1) {
      dense = dense && strides[i] == expected;
      expected *= sizes[i];
    }
  }
  return dense;
}

MemoryFormat suggested_format(const Geometry& g) {
  size_t n = g.sizes.size();
  if ((n != 4 && n != 5) || g.strides[1] == 0) {
    return MemoryFormat::Contiguous;
  }
  int64_t least = 0;
  auto fits = [&](size_t i) {
    // A batch of single elements is as well contiguous, or a slice of it.
    if (g.sizes[i] == 0 || g.strides[i] < least ||
        (i == 0 && least == g.strides[1])) {
      return false;
    }
    least = g.strides[i] * std::max<int64_t>(g.sizes[i], 1);
    return true;
  };
  bool all = fits(1);
  for (size_t i = n; all && i-- > 2;) {
    all = fits(i);
  }
  if (!all || !fits(0)) {
    return MemoryFormat::Contiguous;
  }
  return n == 4 ? MemoryFormat::ChannelsLast : MemoryFormat::ChannelsLast3d;
}

bool is_channels_last(const IntList& sizes, const IntList& strides) {
  size_t n = sizes.size();
  if (n != 4 && n != 5) {
    return false;
  }
  int64_t expected = 1;
  auto fits = [&](size_t i) {
    if (sizes[i] != 1) {
      if (strides[i] != expected) {
        return false;
      }
      expected *= sizes[i];
    }
    return true;
  };
  if (!fits(1)) {
    return false;
  }
  for (size_t i = n; i-- > 2;) {
    if (!fits(i)) {
      return false;
    }
  }
  return fits(0);
}

bool is_dense(const IntList& sizes, const IntList& strides) {
  if (sizes.size() == 1) {
    return sizes[0] < 2 || strides[0] == 1;
  }
  if (product(sizes) == 0) {
    return true;
  }
  // Narrowest stride first; dimensions of size 0 and 1 go last.
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (sizes[a] < 2 || sizes[b] < 2) {
      return sizes[a] >= 2 && sizes[b] < 2;
    }
    return strides[a] < strides[b];
  });
  int64_t expected = 1;
  for (size_t i : order) {
    if (sizes[i] == 1) {
      break;
    }
    if (strides[i] != expected) {
      return false;
    }
    expected *= sizes[i];
  }
  return true;
}

bool has_internal_overlap(const Geometry& g) {
  if (is_dense(g.sizes, g.strides)) {
    return false;
  }
  // As PyTorch's: only stride 0 is certain overlap; the rest is "too hard".
  for (size_t i = 0; i < g.sizes.size(); ++i) {
    if (g.strides[i] == 0 && g.sizes[i] > 1) {
      return true;
    }
  }
  return false;
}

bool may_overlap(const Geometry& g) {
  std::vector<std::pair<int64_t, int64_t>> dims; // stride, size
  for (size_t d = 0; d < g.sizes.size(); ++d) {
    if (g.sizes[d] > 1) {
      dims.emplace_back(g.strides[d], g.sizes[d]);
    }
  }
  std::sort(dims.begin(), dims.end());
  int64_t last = 0; // the greatest index of the dimensions so far
  for (auto [stride, size] : dims) {
    if (stride <= last) {
      return true;
    }
    last += stride * (size - 1);
  }
  return false;
}

int64_t storage_extent(const Geometry& g) {
  int64_t last = g.offset;
  for (size_t i = 0; i < g.sizes.size(); ++i) {
    if (g.sizes[i] == 0) {
      return 0;
    }
    last += (g.sizes[i] - 1) * g.strides[i];
  }
  return last + 1;
}

std::optional<IntList> view_strides(
    const IntList& old_sizes,
    const IntList& old_strides,
    const IntList& sizes) {
  if (product(old_sizes) == 0) {
    if (old_sizes == sizes) {
      return old_strides;
    }
    return contiguous_strides(sizes);
  }
  IntList strides(sizes.size());
  // Walk both from the back: runs of old dimensions that lie as one are split
  // as the new sizes ask.
  auto view_dim = static_cast<int64_t>(sizes.size()) - 1;
  int64_t run_stride = old_strides.empty() ? 1 : old_strides.back();
  int64_t run_numel = 1, view_numel = 1;
  for (int64_t d = static_cast<int64_t>(old_sizes.size()) - 1; d >= 0; --d) {
    auto i = static_cast<size_t>(d);
    run_numel *= old_sizes[i];
    bool run_ends = d == 0 || (old_sizes[i - 1] != 1 &&
                               old_strides[i - 1] != run_numel * run_stride);
    if (!run_ends) {
      continue;
    }
    while (view_dim >= 0 && (view_numel < run_numel ||
                             sizes[static_cast<size_t>(view_dim)] == 1)) {
      auto v = static_cast<size_t>(view_dim);
      strides[v] = view_numel * run_stride;
      view_numel *= sizes[v];
      --view_dim;
    }
    if (view_numel != run_numel) {
      return std::nullopt;
    }
    if (d > 0) {
      run_stride = old_strides[i - 1];
      run_numel = 1;
      view_numel = 1;
    }
  }
  if (old_sizes.empty()) {
    for (; view_dim >= 0; --view_dim) {
      strides[static_cast<size_t>(view_dim)] = 1;
    }
  }
  return view_dim == -1 ? std::optional(strides) : std::nullopt;
}

IntList elementwise_strides(
    const IntList& sizes,
    const std::vector<const Geometry*>& inputs) {
  size_t n = sizes.size();
  bool contiguous = true, channels_last = n == 4; // not of 5, as there
  for (const Geometry* g : inputs) {
    bool same = g->sizes == sizes;
    contiguous = contiguous && same && is_contiguous(g->sizes, g->strides);
    channels_last =
        channels_last && same && is_channels_last(g->sizes, g->strides);
  }
  if (contiguous || n < 2) {
    return contiguous_strides(sizes);
  }
  if (channels_last) {
    return channels_last_strides(sizes);
  }
  // Strides of each input after broadcasting to `sizes`.
  std::vector<IntList> all;
  bool same = true;
  for (const Geometry* g : inputs) {
    same = same && g->sizes == sizes;
    IntList strides(n, int64_t{0});
    size_t skip = n - g->sizes.size();
    for (size_t i = skip; i < n; ++i) {
      bool broadcast = g->sizes[i - skip] == 1 && sizes[i] != 1;
      strides[i] = broadcast ? 0 : g->strides[i - skip];
    }
    all.push_back(strides);
  }
  // Inputs that agree on dense strides give them to the result as they are.
  if (same && !all.empty() && is_dense(sizes, all[0]) &&
      std::all_of(all.begin(), all.end(), [&](const IntList& s) {
        return s == all[0];
      })) {
    return all[0];
  }
  // Otherwise: sort dimensions, fastest first, by insertion, comparing the
  // inputs in turn and taking the first that decides.
  std::vector<size_t> perm(n);
  for (size_t i = 0; i < n; ++i) {
    perm[i] = n - 1 - i;
  }
  auto compare = [&](size_t a, size_t b) { // >0: a is the slower one
    for (const IntList& s : all) {
      if (s[a] == 0 || s[b] == 0) {
        continue;
      }
      if (s[a] != s[b]) {
        return s[a] < s[b] ? -1 : 1;
      }
      if (sizes[a] > sizes[b]) {
        return 1;
      }
    }
    return 0;
  };
  for (size_t i = 1; i < n; ++i) {
    size_t at = i;
    for (size_t j = i; j-- > 0;) {
      int order = compare(perm[j], perm[at]);
      if (order > 0) {
        std::swap(perm[j], perm[at]);
        at = j;
      } else if (order < 0) {
        break;
      }
    }
  }
  if (std::is_sorted(perm.rbegin(), perm.rend())) {
    return contiguous_strides(sizes);
  }
  IntList strides(n);
  int64_t stride = 1;
  for (size_t i : perm) {
    strides[i] = stride;
    stride *= sizes[i]; // as there, also where that is 0
  }
  return strides;
}

IntList dense_like(const Geometry& g) {
  if (is_dense(g.sizes, g.strides)) {
    return g.strides;
  }
  return elementwise_strides(g.sizes, {&g});
}

std::optional<Window> lower(const Layout& layout, const Geometry& view) {
  size_t axes = layout.sizes.size(), dims = view.sizes.size();
  Window w;
  w.starts.resize(axes, 0);
  w.stops.resize(axes, 1);
  w.steps.resize(axes, 1);
  std::vector<size_t> by = by_stride(layout.strides);
  int64_t rest = view.offset;
  for (size_t a : by) {
    if (layout.sizes[a] <= 1) {
      continue;
    }
    int64_t start = rest / layout.strides[a];
    rest %= layout.strides[a];
    if (start >= layout.sizes[a]) {
      return std::nullopt;
    }
    w.starts[a] = static_cast<mx::ShapeElem>(start);
    w.stops[a] = static_cast<mx::ShapeElem>(start + 1);
  }
  std::vector<int> axis_of(dims, -1);
  std::vector<bool> used(axes, false);
  for (size_t i = 0; i < dims; ++i) {
    if (view.sizes[i] == 1) {
      continue;
    }
    if (view.strides[i] == 0) {
      w.broadcast = true;
      continue;
    }
    bool found = false;
    for (size_t a : by) {
      int64_t stride = layout.strides[a];
      if (used[a] || layout.sizes[a] <= 1 || view.strides[i] % stride != 0) {
        continue;
      }
      int64_t step = view.strides[i] / stride;
      int64_t last = w.starts[a] + step * (view.sizes[i] - 1);
      if (last >= layout.sizes[a]) {
        continue;
      }
      w.stops[a] = static_cast<mx::ShapeElem>(last + 1);
      w.steps[a] = static_cast<mx::ShapeElem>(step);
      axis_of[i] = static_cast<int>(a);
      used[a] = true;
      found = true;
      break;
    }
    if (!found) {
      return std::nullopt;
    }
  }
  w.full = true;
  std::vector<int> kept(axes, -1);
  int n = 0;
  for (size_t a = 0; a < axes; ++a) {
    w.full = w.full && w.starts[a] == 0 && w.steps[a] == 1 &&
             w.stops[a] == layout.sizes[a];
    if (used[a]) {
      kept[a] = n++;
    } else {
      w.squeezed.push_back(static_cast<int>(a));
    }
  }
  for (size_t i = 0; i < dims; ++i) {
    if (axis_of[i] >= 0) {
      w.order.push_back(kept[static_cast<size_t>(axis_of[i])]);
    } else {
      w.expanded.push_back(static_cast<int>(i));
    }
  }
  return w;
}

mx::array flatten(const mx::array& array, const Layout& layout) {
  if (array.ndim() == 1 && layout.is_flat()) {
    return array;
  }
  mx::array a = array;
  if (!layout.is_flat()) {
    std::vector<int> order;
    for (size_t i : by_stride(layout.strides)) {
      order.push_back(static_cast<int>(i));
    }
    a = mx::transpose(a, order);
  }
  return mx::reshape(a, {static_cast<mx::ShapeElem>(a.size())});
}

mx::array
read(const mx::array& array, const Layout& layout, const Geometry& view) {
  if (view.offset == 0 && view.sizes == layout.sizes &&
      view.strides == layout.strides) {
    return array;
  }
  if (view.numel() == 0) {
    return mx::zeros(to_shape(view.sizes), array.dtype());
  }
  if (auto window = lower(layout, view)) {
    return apply(array, *window, view.sizes);
  }
  mx::array flat = flatten(array, layout);
  if (view.offset == 0 && view.numel() == static_cast<int64_t>(array.size()) &&
      is_contiguous(view.sizes, view.strides)) {
    return mx::reshape(flat, to_shape(view.sizes));
  }
  if (auto factored = refactor(static_cast<int64_t>(array.size()), view)) {
    if (auto window = lower(*factored, view)) {
      return apply(
          mx::reshape(flat, to_shape(factored->sizes)), *window, view.sizes);
    }
  }
  // A broadcast value has no memory of its own to take strides over.
  return mx::as_strided(
      mx::contiguous(flat),
      to_shape(view.sizes),
      mx::Strides(view.strides.begin(), view.strides.end()),
      static_cast<size_t>(view.offset));
}

namespace {

// Writes the elements that differ from what is there: where two indices name
// one element, that which an op did not write to leaves it to the other.
mx::array write_changed(
    const mx::array& flat,
    const mx::array& index,
    const mx::array& update) {
  mx::array before = mx::take(flat, index);
  mx::array changed = mx::not_equal(update, before);
  if (mx::issubdtype(flat.dtype(), mx::inexact)) {
    mx::array both = mx::logical_and(mx::isnan(update), mx::isnan(before));
    changed = mx::logical_and(changed, mx::logical_not(both));
  }
  auto total = static_cast<mx::ShapeElem>(flat.size());
  mx::array longer =
      mx::concatenate({flat, mx::zeros({1}, flat.dtype())}); // takes the rest
  mx::array where = mx::where(changed, index, mx::array(total, index.dtype()));
  mx::array updates = mx::expand_dims(update, 1);
  return mx::slice(mx::scatter(longer, where, updates, 0), {0}, {total});
}

} // namespace

mx::array write_back(
    const mx::array& array,
    Layout& layout,
    const Geometry& view,
    const mx::array& value) {
  int64_t n = view.numel();
  if (n == 0) {
    return array;
  }
  auto total = static_cast<int64_t>(array.size());
  if (n == total && view.offset == 0 && is_dense(view.sizes, view.strides)) {
    // Everything is overwritten: the value itself, lying as the view does.
    layout = {view.sizes, view.strides};
    return value;
  }
  auto window = lower(layout, view);
  if (window && !window->broadcast) {
    return apply_update(array, *window, value);
  }
  mx::array flat = flatten(array, layout);
  if (auto factored = refactor(total, view)) {
    window = lower(*factored, view);
    if (window && !window->broadcast) {
      layout = *factored;
      return apply_update(
          mx::reshape(flat, to_shape(factored->sizes)), *window, value);
    }
  }
  layout = {IntList{total}, IntList{1}};
  auto count = static_cast<mx::ShapeElem>(n);
  mx::array index = mx::reshape(flat_indices(view), {count});
  mx::array update = mx::reshape(value, {count});
  if (may_overlap(view)) {
    return write_changed(flat, index, update);
  }
  return mx::scatter(flat, index, mx::reshape(update, {count, 1}), 0);
}

} // namespace flashlight
