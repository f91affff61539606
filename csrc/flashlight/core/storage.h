// The storage cell that all aliases of a tensor share.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include <mlx/array.h>

#include "flashlight/core/api.h"
#include "flashlight/core/device.h"
#include "flashlight/core/dtype.h"
#include "flashlight/core/geometry.h"
#include "flashlight/core/lent_memory.h"
#include "flashlight/core/ref.h"

namespace flashlight {

// Counts in-place changes; shared by a tensor, its views and its detached
// aliases, so that autograd sees that a saved value has changed.
class VersionCounter : public RefCounted {
 public:
  uint32_t value() const {
    return value_.load(std::memory_order_relaxed);
  }
  void bump() {
    value_.fetch_add(1, std::memory_order_relaxed);
  }
  void set(uint32_t value) {
    value_.store(value, std::memory_order_relaxed);
  }

 private:
  std::atomic<uint32_t> value_{0};
};

// Holds the current array of a block of elements. Writing replaces the array;
// MLX reuses its buffer when nothing else holds it, so a write copies only what
// PyTorch's would.
class FL_API Storage : public RefCounted {
 public:
  // `array` lies in the storage as `layout` says.
  Storage(mx::array array, Layout layout, Device device);
  // On memory that others see.
  Storage(std::shared_ptr<LentMemory> memory, Dtype dtype);
  ~Storage();

  // Stale while the memory is lent.
  const mx::array& array() const {
    return array_;
  }
  const Layout& layout() const {
    return layout_;
  }
  Dtype dtype() const {
    return dtype_;
  }
  Device device() const {
    return device_;
  }
  // In elements of dtype().
  int64_t numel() const {
    return lent_ ? static_cast<int64_t>(lent_->nbytes()) / itemsize(dtype_)
                 : static_cast<int64_t>(array_.size());
  }
  int64_t nbytes() const {
    return numel() * itemsize(dtype_);
  }

  // What a tensor of this dtype and geometry shows; pairs, of complex128.
  mx::array read(const Geometry& view, Dtype dtype) const;
  // Writes `value`, of the view's sizes and dtype, through it.
  void write(const Geometry& view, Dtype dtype, const mx::array& value);
  // Grows or shrinks to `bytes`, keeping what fits; new bytes are zero.
  void resize(int64_t bytes);
  // Replaces everything.
  void assign(mx::array array, Layout layout, Dtype dtype);

  // Memory in storage order for others to see, who keep what is returned; see
  // Note [Memory that others see].
  std::shared_ptr<LentMemory> lend();
  // Does anybody else see it? Takes the memory back if not.
  bool is_lent() const {
    return lent_ && is_seen();
  }

  // Moves it to memory that other processes see, for good.
  void share();
  // That memory, or nullptr.
  const SharedMemory* shared() const {
    return lent_ ? lent_->shared() : nullptr;
  }
  // The storage on such memory: the one that this process has, or a new one.
  static Ref<Storage> on(std::unique_ptr<SharedMemory> memory);

  // True for as long as it lives.
  std::shared_ptr<const std::atomic<bool>> lives();

  // The address that data_ptr() reports. Buffers move as values are replaced,
  // so it is a name: a range of addresses that no other storage has had. Of
  // memory that is lent it is where that lies.
  uintptr_t address() const;

  bool resizable() const {
    return resizable_;
  }
  void set_resizable(bool resizable) {
    resizable_ = resizable;
  }

 private:
  void set_array(mx::array array);
  bool is_seen() const;
  void take_back(mx::array array) const;

  mutable mx::array array_;
  mutable std::shared_ptr<LentMemory> lent_; // then array_ is stale
  Layout layout_;
  Dtype dtype_;
  Device device_;
  bool resizable_ = true;
  mutable std::atomic<uintptr_t> address_{0}; // reserved when asked for
  std::shared_ptr<std::atomic<bool>> lives_;  // made when asked for

 public:
  // Membership in the list of pending storages (runtime.cpp, under its lock).
  void link(Storage** head);
  void unlink();

 private:
  Storage** pending_head_ = nullptr;
  Storage* pending_next_ = nullptr;
  Storage* pending_prev_ = nullptr;
};

} // namespace flashlight
