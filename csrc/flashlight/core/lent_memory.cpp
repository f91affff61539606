// See Note [Memory that others see].
#include "flashlight/core/lent_memory.h"

#include <map>
#include <mutex>

#include <mlx/allocator.h>

#include "flashlight/core/error.h"
#include "flashlight/core/host_access.h"
#include "flashlight/core/overlap.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/small_graph.h"

namespace flashlight {

namespace {

// Memory of storages that is lent, by its end.
struct Lent {
  std::mutex mutex;
  std::map<const char*, const LentMemory*> by_end;
};
Lent& lent() {
  static Lent lent;
  return lent;
}

} // namespace

LentMemory::LentMemory(mx::array array)
    : data_(array.data<char>()),
      nbytes_(array.nbytes()),
      array_(std::move(array)) {
  std::lock_guard lock(lent().mutex);
  lent().by_end[data_ + nbytes_] = this;
}

LentMemory::LentMemory(char* data, size_t nbytes, void* object, bool countable)
    : data_(data), nbytes_(nbytes), object_(object), countable_(countable) {
  host_hooks().keep_alive(object_);
}

LentMemory::LentMemory(std::unique_ptr<SharedMemory> shared)
    : data_(shared->data()),
      nbytes_(shared->nbytes()),
      shared_(std::move(shared)) {}

LentMemory::~LentMemory() {
  if (object_) {
    host_hooks().let_go(object_);
  }
  if (!array_) {
    return;
  }
  std::lock_guard lock(lent().mutex);
  lent().by_end.erase(data_ + nbytes_);
}

uintptr_t LentMemory::name_of(const char* data) {
  std::lock_guard lock(lent().mutex);
  auto found = lent().by_end.upper_bound(data);
  if (found == lent().by_end.end() || found->second->data_ > data) {
    return 0;
  }
  uintptr_t name = found->second->name_;
  return name ? name + static_cast<uintptr_t>(data - found->second->data_) : 0;
}

bool LentMemory::is_anothers() const {
  return shared_ ||
         (object_ && !(countable_ && host_hooks().only_kept(object_)));
}

mx::array LentMemory::taken_back(mx::Dtype dtype) const {
  if (array_) {
    return *array_;
  }
  auto n = static_cast<int64_t>(nbytes_ / mx::size_of(dtype));
  return read({IntList{n}, IntList{1}, 0}, dtype);
}

namespace {

void check_within(const Geometry& view, size_t itemsize, size_t nbytes) {
  FL_CHECK(
      static_cast<size_t>(storage_extent(view)) * itemsize <= nbytes,
      "a view of ",
      storage_extent(view),
      " elements of a storage of ",
      nbytes,
      " bytes");
}

} // namespace

mx::array LentMemory::read(const Geometry& view, mx::Dtype dtype) const {
  check_within(view, mx::size_of(dtype), nbytes_);
  size_t n = static_cast<size_t>(view.numel()) * mx::size_of(dtype);
  mx::array out(mx::allocator::malloc(n), to_shape(view.sizes), dtype);
  if (n > 0) {
    copy_out(data_, view, out);
  }
  return out;
}

void LentMemory::write(const Geometry& view, const mx::array& value) const {
  check_within(view, value.itemsize(), nbytes_);
  if (!is_there(value) && !eval_if_small(value)) {
    flashlight::eval({value});
  }
  if (view.numel() == 0) {
    return;
  }
  if (may_overlap(view)) { // whoever writes last must not undo a write
    auto n = static_cast<int64_t>(nbytes_ / value.itemsize());
    Geometry all{IntList{n}, IntList{1}, 0};
    Layout layout{all.sizes, all.strides};
    mx::array flat = read(all, value.dtype());
    flat = flatten(write_back(flat, layout, view, value), layout);
    flashlight::eval({flat});
    copy_in(data_, all, flat);
    return;
  }
  copy_in(data_, view, value);
}

} // namespace flashlight
