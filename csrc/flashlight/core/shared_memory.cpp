#include "flashlight/core/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "flashlight/core/error.h"

namespace flashlight {

namespace {

// Raises what errno says, unless `fine`; a descriptor that is of no use then is
// closed.
void check_system(bool fine, const char* what, size_t nbytes, int descriptor) {
  if (fine) {
    return;
  }
  int number = errno;
  if (descriptor >= 0) {
    close(descriptor);
  }
  fail(
      "unable to ",
      what,
      " shared memory of ",
      nbytes,
      " bytes: ",
      std::strerror(number),
      " (",
      number,
      ")");
}

int open_unnamed() {
#ifdef __linux__
  return memfd_create("flashlight", MFD_CLOEXEC);
#else
  static std::atomic<int> count{0};
  std::string name = "/fl_" + std::to_string(getpid()) + "_" +
                     std::to_string(count.fetch_add(1));
  int descriptor = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (descriptor >= 0) {
    shm_unlink(name.c_str());
  }
  return descriptor;
#endif
}

// A mapping has at least one byte.
size_t mapped_size(size_t nbytes) {
  return std::max<size_t>(nbytes, 1);
}

int make_unnamed(size_t nbytes) {
  int descriptor = open_unnamed();
  check_system(descriptor >= 0, "open", nbytes, -1);
  auto size = static_cast<off_t>(mapped_size(nbytes));
  check_system(
      ftruncate(descriptor, size) == 0, "allocate", nbytes, descriptor);
  return descriptor;
}

} // namespace

SharedMemory::SharedMemory(int descriptor, size_t nbytes)
    : descriptor_(descriptor), nbytes_(nbytes) {
  struct stat status;
  check_system(fstat(descriptor, &status) == 0, "find", nbytes, descriptor);
  file_ = {status.st_dev, status.st_ino};
  int access = PROT_READ | PROT_WRITE;
  void* data =
      mmap(nullptr, mapped_size(nbytes), access, MAP_SHARED, descriptor, 0);
  check_system(data != MAP_FAILED, "map", nbytes, descriptor);
  data_ = static_cast<char*>(data);
}

SharedMemory::SharedMemory(size_t nbytes)
    : SharedMemory(make_unnamed(nbytes), nbytes) {}

SharedMemory::~SharedMemory() {
  munmap(data_, mapped_size(nbytes_));
  close(descriptor_);
}

} // namespace flashlight
