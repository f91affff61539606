// Memory of a storage that others see too: numpy, DLPack, other processes.
//
// Note [Memory that others see]
// A numpy array of a tensor, or the tensor of a numpy array, shows what is
// written on the other side, as soon as it is written. MLX's arrays cannot do
// that: they are values, computed when asked for, and their buffers move. So a
// storage whose memory is lent has no array. What is read of it is copied at
// the call, and what is written is computed and copied in before the call
// returns; kernels, views and autograd only meet what Storage::read() gives
// and what Storage::write() takes, and know nothing of it. When nobody else is
// left who sees the memory, it becomes an array like others.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include <mlx/array.h>

#include "flashlight/core/api.h"
#include "flashlight/core/geometry.h"
#include "flashlight/core/shared_memory.h"

namespace flashlight {

class FL_API LentMemory {
 public:
  // The buffer of an array that nothing else holds: flat, there.
  explicit LentMemory(mx::array array);
  // An object's of the host, which is kept. If it is `countable`, nobody else
  // sees the memory once nobody else refers to the object.
  LentMemory(char* data, size_t nbytes, void* object, bool countable);
  // What other processes see, for good.
  explicit LentMemory(std::unique_ptr<SharedMemory> shared);
  ~LentMemory();
  LentMemory(const LentMemory&) = delete;
  LentMemory& operator=(const LentMemory&) = delete;

  char* data() const {
    return data_;
  }
  size_t nbytes() const {
    return nbytes_;
  }
  // nullptr if other processes do not see it.
  const SharedMemory* shared() const {
    return shared_.get();
  }
  // Does an owner that is not ours see it?
  bool is_anothers() const;
  // The memory as an array, one dimension: the own one, or a copy.
  mx::array taken_back(mx::Dtype dtype) const;

  // The address that its storage has been known by before it was lent; 0 if
  // by none. Storages on the same memory go by that too.
  void set_name(uintptr_t address) {
    name_ = address;
  }
  static uintptr_t name_of(const char* data);

  // What a view shows, as an array of its own; and its place, written to.
  mx::array read(const Geometry& view, mx::Dtype dtype) const;
  void write(const Geometry& view, const mx::array& value) const;

 private:
  char* data_;
  size_t nbytes_;
  std::optional<mx::array> array_;
  std::unique_ptr<SharedMemory> shared_;
  void* object_ = nullptr;
  bool countable_ = false;
  std::atomic<uintptr_t> name_{0};
};

} // namespace flashlight
