#include "flashlight/core/storage.h"

#include <map>
#include <mutex>

#include <mlx/allocator.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>

#include "flashlight/core/complex128.h"
#include "flashlight/core/error.h"
#include "flashlight/core/host_access.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/small_graph.h"

namespace flashlight {

namespace {

// How many handles a node has. MLX says so only of values that are there, so
// its member is named where C++ lets a private one be: as a template argument.
long owners(const mx::array& a);
template <auto kDescription>
struct Owners {
  friend long owners(const mx::array& a) {
    return (a.*kDescription).use_count();
  }
};
template struct Owners<&mx::array::array_desc_>;

bool is_pending(const mx::array& a) {
  return a.status() == mx::array::Status::unscheduled;
}

std::string_view primitive_name(const mx::array& a) {
  return a.has_primitive() ? a.primitive().name() : "";
}

// Is it one of the writes that write_back() records?
bool is_recorded_write(const mx::array& a) {
  return primitive_name(a) == "SliceUpdate" || primitive_name(a) == "Scatter";
}

// Does the unevaluated `value` read `array`?
bool reads(const mx::array& value, const mx::array& array) {
  constexpr size_t kMost = 64; // nodes looked at
  std::vector<const mx::array*> seen{&value};
  for (size_t i = 0; i < seen.size() && seen.size() < kMost; ++i) {
    if (!is_pending(*seen[i]) || !seen[i]->has_primitive()) {
      continue;
    }
    for (const mx::array& input : seen[i]->inputs()) {
      if (input.id() == array.id()) {
        return true;
      }
      seen.push_back(&input);
    }
  }
  return false;
}

// Writes a part at once, if that can be; see Note [Reads and writes at once].
// What is not computed yet is computed for it where that is no more work (it
// has been started) or will be needed anyway: one write after another.
bool write_small(
    mx::array& array,
    const Layout& layout,
    const Geometry& view,
    const mx::array& whole_value) {
  // One value everywhere need not be spread out first. (A handle: another
  // thread may compute the node, which then lets go of its inputs.)
  mx::array value =
      is_pending(whole_value) && primitive_name(whole_value) == "Full"
          ? whole_value.inputs()[0]
          : whole_value;
  if (view.numel() > kMostWritten || value.is_tracer() || array.is_tracer() ||
      !kernels_enabled() || !(is_there(value) || eval_if_small(value))) {
    return false;
  }
  if (!is_there(array) && !eval_if_small(array)) {
    if (is_pending(array) && !is_recorded_write(array)) {
      return false;
    }
    flashlight::eval({array});
  }
  return write_at_once(array, layout, view, value);
}

// How many elements of `flat` whole ones of another dtype take.
mx::ShapeElem whole_elements(const mx::array& flat, Dtype dtype) {
  auto size = static_cast<size_t>(itemsize(dtype));
  return static_cast<mx::ShapeElem>(
      flat.nbytes() / size * size / flat.itemsize());
}

// `array` in storage order under another dtype, one dimension; without bytes at
// the end that are no whole element.
mx::array flat_as(const mx::array& array, const Layout& layout, Dtype dtype) {
  mx::array flat = flatten(array, layout);
  mx::ShapeElem n = whole_elements(flat, dtype);
  if (static_cast<size_t>(n) != flat.size()) {
    flat = mx::slice(flat, {0}, {n});
  }
  // Any byte that is not 0 is true.
  return dtype == Dtype::Bool && array.dtype() != mx::bool_
             ? mx::not_equal(mx::view(flat, mx::uint8), mx::array(0, mx::uint8))
             : mx::view(flat, to_mlx(dtype));
}

Layout flat_layout(const mx::array& flat) {
  return {IntList{static_cast<int64_t>(flat.size())}, IntList{1}};
}

// What this process has on shared memory. Never destroyed: tensors may go
// later.
struct SharedStorages {
  std::mutex mutex;
  std::map<SharedMemory::File, Storage*> by_file;
};
SharedStorages& shared_storages() {
  static auto* storages = new SharedStorages;
  return *storages;
}

uintptr_t reserve_addresses(size_t nbytes) {
  static std::atomic<uintptr_t> next{uintptr_t{1} << 40};
  return next.fetch_add((nbytes + 64) & ~uintptr_t{63});
}

} // namespace

Storage::Storage(mx::array array, Layout layout, Device device)
    : array_(std::move(array)),
      layout_(std::move(layout)),
      dtype_(from_mlx(array_.dtype())),
      device_(device) {
  if (is_pending(array_)) {
    detail::track_pending(*this);
  }
}

Storage::Storage(std::shared_ptr<LentMemory> memory, Dtype dtype)
    : array_(mx::array({}, to_mlx(dtype))),
      lent_(std::move(memory)),
      dtype_(dtype),
      resizable_(false),
      address_(LentMemory::name_of(lent_->data())) {
  layout_ = {IntList{numel()}, IntList{1}};
}

std::shared_ptr<LentMemory> Storage::lend() {
  if (is_lent()) {
    return lent_;
  }
  mx::array flat = mx::contiguous(flatten(array_, layout_));
  array_ = mx::array({}, flat.dtype());
  flashlight::eval({flat});
  if (!flat.is_donatable()) { // others hold the buffer, as a value
    Geometry all{IntList{static_cast<int64_t>(flat.size())}, IntList{1}, 0};
    mx::array copy(
        mx::allocator::malloc(flat.nbytes()), flat.shape(), flat.dtype());
    copy_in(copy.data<char>(), all, flat);
    flat = std::move(copy);
  }
  layout_ = flat_layout(flat);
  lent_ = std::make_shared<LentMemory>(std::move(flat));
  lent_->set_name(address_);
  return lent_;
}

void Storage::share() {
  if (shared()) {
    return;
  }
  Geometry all{IntList{numel()}, IntList{1}, 0};
  auto memory = std::make_shared<LentMemory>(
      std::make_unique<SharedMemory>(static_cast<size_t>(nbytes())));
  memory->write(all, read(all, dtype_));
  array_ = mx::array({}, to_mlx(dtype_));
  layout_ = {all.sizes, all.strides};
  lent_ = std::move(memory);
  address_ = 0; // it has moved, and stays from now on
  resizable_ = false;
  std::lock_guard lock(shared_storages().mutex);
  shared_storages().by_file[shared()->file()] = this;
}

Ref<Storage> Storage::on(std::unique_ptr<SharedMemory> memory) {
  SharedMemory::File file = memory->file();
  std::lock_guard lock(shared_storages().mutex);
  Storage*& place = shared_storages().by_file[file];
  Ref<Storage> out = place ? Ref<Storage>::if_alive(place) : nullptr;
  if (!out) {
    out = make_ref<Storage>(
        std::make_shared<LentMemory>(std::move(memory)), Dtype::UInt8);
    place = out.get();
  }
  return out;
}

bool Storage::is_seen() const {
  if (lent_.use_count() == 1 && !lent_->is_anothers()) {
    take_back(lent_->taken_back(to_mlx(dtype_)));
  }
  return lent_ != nullptr;
}

void Storage::take_back(mx::array array) const {
  array_ = std::move(array);
  lent_.reset();
}

uintptr_t Storage::address() const {
  uintptr_t address = address_.load();
  if (address == 0) {
    if (lent_) {
      return reinterpret_cast<uintptr_t>(lent_->data());
    }
    uintptr_t fresh = reserve_addresses(array_.nbytes());
    address =
        address_.compare_exchange_strong(address, fresh) ? fresh : address;
  }
  return address;
}

std::shared_ptr<const std::atomic<bool>> Storage::lives() {
  if (!lives_) {
    lives_ = std::make_shared<std::atomic<bool>>(true);
  }
  return lives_;
}

Storage::~Storage() {
  if (lives_) {
    *lives_ = false;
  }
  if (const SharedMemory* memory = shared()) {
    std::lock_guard lock(shared_storages().mutex);
    auto found = shared_storages().by_file.find(memory->file());
    if (found != shared_storages().by_file.end() && found->second == this) {
      shared_storages().by_file.erase(found);
    }
  }
  if (pending_head_) {
    detail::untrack_pending(*this);
  }
  // A node that nobody will ever ask for lets go of its inputs here: MLX sorts
  // out first which of them are nobody's either, at the price of a call.
  if (is_pending(array_) && owners(array_) == 1) {
    std::atomic_thread_fence(std::memory_order_acquire);
    array_.inputs().clear();
  }
}

void Storage::set_array(mx::array array) {
  array_ = std::move(array);
  if (is_pending(array_)) {
    detail::track_pending(*this);
  }
}

mx::array Storage::read(const Geometry& view, Dtype dtype) const {
  if (dtype == Dtype::Complex128) [[unlikely]] {
    return read(pairs_geometry(view), Dtype::Float64);
  }
  if (is_lent()) [[unlikely]] {
    return dtype == Dtype::Bool && dtype_ != Dtype::Bool
               ? mx::not_equal(
                     lent_->read(view, mx::uint8), mx::array(0, mx::uint8))
               : lent_->read(view, to_mlx(dtype));
  }
  if (dtype == dtype_) {
    if (view.numel() < numel()) {
      if (auto value = read_at_once(array_, layout_, view)) {
        return *std::move(value);
      }
    }
    return flashlight::read(array_, layout_, view);
  }
  mx::array flat = flat_as(array_, layout_, dtype);
  return flashlight::read(flat, flat_layout(flat), view);
}

void Storage::write(const Geometry& view, Dtype dtype, const mx::array& value) {
  if (dtype == Dtype::Complex128) [[unlikely]] {
    write(pairs_geometry(view), Dtype::Float64, value);
    return;
  }
  if (is_lent()) [[unlikely]] {
    lent_->write(view, value);
    return;
  }
  if (dtype == dtype_ && view.numel() < numel() &&
      write_small(array_, layout_, view, value)) {
    return;
  }
  // A part of a large array that is computed from it (x[1:] += 1) is computed
  // first: a reader that waits would hold the buffer, and all be copied.
  constexpr size_t kLarge = size_t{1} << 20;
  if (array_.nbytes() >= kLarge && view.numel() < numel() &&
      is_pending(value) && !value.is_tracer() && reads(value, array_)) {
    flashlight::eval({value});
    if (dtype == dtype_ && write_small(array_, layout_, view, value)) {
      return;
    }
  }
  if (dtype == dtype_) {
    Layout layout = layout_;
    mx::array next = write_back(array_, layout, view, value);
    layout_ = std::move(layout);
    set_array(std::move(next));
    return;
  }
  // Bools are written as bytes: the others stay what they are.
  bool bools = dtype == Dtype::Bool;
  mx::array flat = flat_as(array_, layout_, bools ? Dtype::UInt8 : dtype);
  Layout layout = flat_layout(flat);
  mx::array next = flatten(
      write_back(
          flat, layout, view, bools ? mx::astype(value, mx::uint8) : value),
      layout);
  next = mx::view(next, to_mlx(dtype_));
  if (next.size() != array_.size()) {
    mx::array before = flatten(array_, layout_);
    auto from = static_cast<mx::ShapeElem>(next.size());
    auto end = static_cast<mx::ShapeElem>(before.size());
    next = mx::concatenate({next, mx::slice(before, {from}, {end})});
  }
  layout_ = flat_layout(next);
  set_array(std::move(next));
}

void Storage::resize(int64_t bytes) {
  FL_CHECK(resizable_, "Trying to resize storage that is not resizable");
  if (is_lent()) { // what others see stays theirs
    mx::array own =
        lent_->read({IntList{numel()}, IntList{1}, 0}, to_mlx(dtype_));
    take_back(std::move(own));
  }
  if (bytes % itemsize(dtype_) != 0) { // by a view of a narrower dtype
    mx::array flat = flat_as(array_, layout_, Dtype::UInt8);
    Layout layout = flat_layout(flat);
    assign(std::move(flat), std::move(layout), Dtype::UInt8);
  }
  int64_t want = (bytes + itemsize(dtype_) - 1) / itemsize(dtype_);
  if (want == numel()) {
    return;
  }
  address_ = 0;
  mx::array flat = flatten(array_, layout_);
  auto n = static_cast<mx::ShapeElem>(std::min(want, numel()));
  mx::array next = mx::slice(flat, {0}, {n});
  if (want > n) {
    auto more = static_cast<mx::ShapeElem>(want - n);
    next = mx::concatenate({next, mx::zeros({more}, flat.dtype())});
  }
  layout_ = flat_layout(next);
  set_array(std::move(next));
}

void Storage::assign(mx::array array, Layout layout, Dtype dtype) {
  lent_.reset();
  layout_ = std::move(layout);
  dtype_ = dtype;
  set_array(std::move(array));
}

void Storage::link(Storage** head) {
  if (pending_head_) {
    return;
  }
  pending_head_ = head;
  pending_prev_ = nullptr;
  pending_next_ = *head;
  if (*head) {
    (*head)->pending_prev_ = this;
  }
  *head = this;
}

void Storage::unlink() {
  if (!pending_head_) {
    return;
  }
  (pending_prev_ ? pending_prev_->pending_next_ : *pending_head_) =
      pending_next_;
  if (pending_next_) {
    pending_next_->pending_prev_ = pending_prev_;
  }
  pending_head_ = nullptr;
  pending_next_ = pending_prev_ = nullptr;
}

} // namespace flashlight
