// Memory that several processes see.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <utility>

#include "flashlight/core/api.h"

namespace flashlight {

// Pages of a file that has no name: they are there for as long as a process has
// them or a descriptor of the file, and go with the last one.
class FL_API SharedMemory {
 public:
  using File = std::pair<dev_t, ino_t>;

  // New pages, of zeros.
  explicit SharedMemory(size_t nbytes);
  // Those behind a descriptor that came from another process; it is taken over.
  SharedMemory(int descriptor, size_t nbytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  char* data() const {
    return data_;
  }
  size_t nbytes() const {
    return nbytes_;
  }
  int descriptor() const {
    return descriptor_;
  }
  // What tells it from other memory, in all processes.
  File file() const {
    return file_;
  }

 private:
  int descriptor_;
  size_t nbytes_;
  char* data_ = nullptr;
  File file_;
};

} // namespace flashlight
