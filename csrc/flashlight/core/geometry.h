// Sizes, strides and offset of a tensor within its storage, and how they are
// read from and written to a functional array.
//
// Note [Views over MLX arrays]
// MLX arrays are values: nothing aliases, nothing is written in place. PyTorch
// tensors are windows on a storage. A view here is nothing but a Geometry, the
// very sizes, strides and offset that PyTorch would report, on a storage that
// all aliases share (storage.h). So every view op is arithmetic on a Geometry;
// what it reads and what a write through it changes cannot disagree, views of
// views collapse, and as_strided, set_ and resize_ are no special cases.
//
// MLX wants structured ops (slice, transpose, reshape) rather than strides:
// they cost nothing there, and slice_update can reuse its input's buffer.
// lower() finds, for a Geometry over a storage whose array has some Layout, the
// slice + transpose + broadcast that reads it; write_back is the same Window
// run backwards. Where there is none (diagonals, overlapping windows) both fall
// back to flat indices.
#pragma once

#include <optional>
#include <vector>

#include "flashlight/core/api.h"
#include "flashlight/core/int_list.h"

namespace flashlight {

struct Geometry {
  IntList sizes;
  IntList strides;    // in elements
  int64_t offset = 0; // in elements

  bool operator==(const Geometry&) const = default;
  int64_t ndim() const {
    return ndim_of(sizes);
  }
  int64_t numel() const {
    return product(sizes);
  }
};

enum class MemoryFormat : uint8_t {
  Contiguous,
  Preserve,
  ChannelsLast,
  ChannelsLast3d,
};

FL_API IntList contiguous_strides(const IntList& sizes);
FL_API IntList channels_last_strides(const IntList& sizes);
FL_API IntList strides_for(const IntList& sizes, MemoryFormat format);
FL_API bool is_contiguous(const IntList& sizes, const IntList& strides);
FL_API bool is_channels_last(const IntList& sizes, const IntList& strides);
// The format that strides speak of, as PyTorch guesses it: channels last only
// where nothing else fits, and never of no elements.
FL_API MemoryFormat suggested_format(const Geometry& g);
// True if the elements fill their extent without gaps or overlaps.
FL_API bool is_dense(const IntList& sizes, const IntList& strides);
// Conservative, as PyTorch's: true if an element may have two indices.
FL_API bool has_internal_overlap(const Geometry& g);
// The least number of storage elements that holds g.
FL_API int64_t storage_extent(const Geometry& g);
// Strides for `sizes` that view the same elements in order, if there are any
// (torch.Tensor.view's rule).
FL_API std::optional<IntList> view_strides(
    const IntList& old_sizes,
    const IntList& old_strides,
    const IntList& sizes);
// Strides of the result of an elementwise op over inputs with these geometries
// (all of them of the result's sizes after broadcasting), as TensorIterator
// chooses them.
FL_API IntList elementwise_strides(
    const IntList& sizes,
    const std::vector<const Geometry*>& inputs);
// Dense strides in the order of g's own, as empty_like(preserve_format) has.
FL_API IntList dense_like(const Geometry& g);

// How the array of a storage lies in it: the array has `sizes`, and element
// [i, j, ...] is element i * strides[0] + ... of the storage. Always dense and
// from 0.
struct Layout {
  IntList sizes;
  IntList strides;

  bool operator==(const Layout&) const = default;
  bool is_flat() const {
    return is_contiguous(sizes, strides);
  }
};

// A structured window on an array: slice, drop `squeezed` axes, permute, add
// axes of size 1, broadcast.
struct Window {
  mx::Shape starts, stops, steps; // per axis of the array
  bool full = false;              // the slice is everything
  std::vector<int> squeezed;      // axes that no dimension of the view names
  std::vector<int> order;         // transpose after squeezing
  std::vector<int> expanded;      // axes of size 1 then inserted
  bool broadcast = false;         // some dimension has stride 0 and a size > 1
};

FL_API std::optional<Window> lower(const Layout& layout, const Geometry& view);

// The value that `view` shows of `array`, which lies as `layout`.
FL_API mx::array
read(const mx::array& array, const Layout& layout, const Geometry& view);

// `array` after `value` (of view.sizes, of array's dtype) was written through
// `view`; `layout` is updated to the result's.
FL_API mx::array write_back(
    const mx::array& array,
    Layout& layout,
    const Geometry& view,
    const mx::array& value);

// `array` as one dimension in storage order.
FL_API mx::array flatten(const mx::array& array, const Layout& layout);

FL_API mx::Shape to_shape(const IntList& sizes);
FL_API IntList to_int_list(const mx::Shape& shape);

} // namespace flashlight
