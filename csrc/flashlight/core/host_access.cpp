// See Note [Reads and writes at once].
#include "flashlight/core/host_access.h"

#include <cstring>
#include <memory>
#include <vector>

#include <mlx/allocator.h>

#include "flashlight/core/overlap.h"
#include "flashlight/core/small_graph.h"

namespace flashlight {

namespace {

// Where the elements of a view lie: those of its dimensions that have more than
// one, in elements from the array's first.
struct Place {
  int64_t offset = 0;
  IntList sizes, strides;
};

// A window on flat memory.
Place place_of(const Geometry& view) {
  Place p;
  p.offset = view.offset;
  for (size_t i = 0; i < view.sizes.size(); ++i) {
    if (view.sizes[i] != 1) {
      p.sizes.push_back(view.sizes[i]);
      p.strides.push_back(view.strides[i]);
    }
  }
  return p;
}

// The window on memory that a window on the storage is, if it is one.
std::optional<Place>
place(const mx::array& array, const Layout& layout, const Geometry& view) {
  Place p;
  size_t dims = view.sizes.size();
  if (array.flags().row_contiguous && array.data_size() == array.size() &&
      layout.is_flat()) {
    if (view.offset < 0 ||
        storage_extent(view) > static_cast<int64_t>(array.size())) {
      return std::nullopt; // the storage has been made smaller
    }
    return place_of(view);
  }
  std::optional<Window> w = lower(layout, view);
  if (!w) {
    return std::nullopt;
  }
  std::vector<size_t> kept; // the axes that dimensions of the view name
  size_t dropped = 0;
  for (size_t a = 0; a < layout.sizes.size(); ++a) {
    p.offset += w->starts[a] * array.strides()[a];
    if (dropped < w->squeezed.size() &&
        w->squeezed[dropped] == static_cast<int>(a)) {
      ++dropped;
    } else {
      kept.push_back(a);
    }
  }
  size_t expanded = 0, named = 0;
  for (size_t i = 0; i < dims; ++i) {
    int64_t stride = 0;
    if (expanded < w->expanded.size() &&
        w->expanded[expanded] == static_cast<int>(i)) {
      ++expanded;
    } else {
      size_t a = kept[static_cast<size_t>(w->order[named++])];
      stride = w->steps[a] * array.strides()[a];
    }
    if (view.sizes[i] != 1) {
      p.sizes.push_back(view.sizes[i]);
      p.strides.push_back(stride);
    }
  }
  return p;
}

// A whole array of the view's sizes.
Place place_of(const mx::array& array) {
  Place p;
  for (size_t i = 0; i < array.ndim(); ++i) {
    if (array.shape()[i] != 1) {
      p.sizes.push_back(array.shape()[i]);
      p.strides.push_back(array.strides()[i]);
    }
  }
  return p;
}

// Copies element by element; the places have the same sizes.
template <size_t Size>
void copy(char* to, const Place& t, const char* from, const Place& f) {
  constexpr auto bytes = static_cast<int64_t>(Size);
  to += t.offset * bytes;
  from += f.offset * bytes;
  size_t n = t.sizes.size();
  if (n == 0) {
    std::memcpy(to, from, Size);
    return;
  }
  int64_t count = t.sizes[n - 1];
  int64_t t_step = t.strides[n - 1] * bytes, f_step = f.strides[n - 1] * bytes;
  IntList index(n - 1, int64_t{0});
  while (true) {
    if (t_step == bytes && f_step == bytes) {
      std::memcpy(to, from, static_cast<size_t>(count * bytes));
    } else {
      char* a = to;
      const char* b = from;
      for (int64_t i = 0; i < count; ++i, a += t_step, b += f_step) {
        std::memcpy(a, b, Size);
      }
    }
    size_t d = n - 1;
    for (; d-- > 0;) {
      to += t.strides[d] * bytes;
      from += f.strides[d] * bytes;
      if (++index[d] < t.sizes[d]) {
        break;
      }
      to -= t.strides[d] * t.sizes[d] * bytes;
      from -= f.strides[d] * f.sizes[d] * bytes;
      index[d] = 0;
    }
    if (d == static_cast<size_t>(-1)) {
      return;
    }
  }
}

void copy(
    size_t itemsize,
    char* to,
    const Place& t,
    const char* from,
    const Place& f) {
  switch (itemsize) {
    case 1:
      return copy<1>(to, t, from, f);
    case 2:
      return copy<2>(to, t, from, f);
    case 4:
      return copy<4>(to, t, from, f);
    default:
      return copy<8>(to, t, from, f);
  }
}

} // namespace

bool is_there(const mx::array& array) {
  switch (array.status()) {
    case mx::array::Status::available:
      return true;
    case mx::array::Status::evaluated:
      return array.is_available();
    default:
      return false;
  }
}

std::optional<mx::array> read_at_once(
    const mx::array& array,
    const Layout& layout,
    const Geometry& view) {
  int64_t n = view.numel();
  if (n == 0 || n > kMostRead || !kernels_enabled() || !is_there(array) ||
      array.is_tracer()) {
    return std::nullopt;
  }
  std::optional<Place> from = place(array, layout, view);
  if (!from) {
    return std::nullopt;
  }
  mx::Shape shape = to_shape(view.sizes);
  Place to{0, from->sizes, contiguous_strides(from->sizes)};
  size_t size = array.itemsize();
  mx::array out(
      mx::allocator::malloc(static_cast<size_t>(n) * size),
      std::move(shape),
      array.dtype());
  copy(size, out.data<char>(), to, array.data<char>(), *from);
  return out;
}

bool write_at_once(
    mx::array& array,
    const Layout& layout,
    const Geometry& view,
    const mx::array& value) {
  int64_t n = view.numel();
  if (n == 0 || n > kMostWritten || !kernels_enabled() || array.is_tracer() ||
      value.is_tracer() || !is_there(array)) {
    return false;
  }
  // Each element of the buffer is one of the array's, and of the view's.
  if (!array.flags().contiguous || array.data_size() != array.size() ||
      may_overlap(view)) {
    return false;
  }
  if (!is_there(value) && !eval_if_small(value)) {
    return false;
  }
  std::optional<Place> to = place(array, layout, view);
  // Nothing else may hold the buffer; the value does if it is a view of it.
  if (!to || !array.is_donatable()) {
    return false;
  }
  // What other threads have read is read, now that they have let go: the count
  // of holders is taken and given back, which orders the two.
  (void)std::shared_ptr(array.data_shared_ptr());
  copy(
      array.itemsize(),
      array.data<char>(),
      *to,
      value.data<char>(),
      place_of(value));
  return true;
}

void copy_out(const char* from, const Geometry& view, mx::array& to) {
  copy(to.itemsize(), to.data<char>(), place_of(to), from, place_of(view));
}

void copy_in(char* to, const Geometry& view, const mx::array& from) {
  copy(from.itemsize(), to, place_of(view), from.data<char>(), place_of(from));
}

} // namespace flashlight
