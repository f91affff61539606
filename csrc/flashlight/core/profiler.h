// What a profiler records.
//
// Note [Profiling]
// A profile belongs to the thread that started it, as in PyTorch. While one
// runs, each op that passes the door, each node of backward and each scope that
// a user names is an event, from its construction as a ProfileScope to its
// end; what is open then is what it lies in. Where none runs, the door asks one
// flag (profiling()).
//
// MLX computes when a value is asked for, so the time of a call says little.
// While a profile runs, the door evaluates the results of each op before its
// event ends: the time of an event is that of the op's own work, and ops are
// not computed together, as they may be otherwise.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flashlight/core/value.h"

namespace flashlight {

// PyTorch's numbers.
enum class RecordScope : uint8_t {
  Function = 0,
  BackwardFunction = 1,
  UserScope = 7,
  PythonFunction = 32, // ours: a call that Python reports
};

// What an op was called with: a tensor as its geometry and dtype alone.
struct RecordedInput {
  struct Shape {
    IntList sizes, strides;
    Dtype dtype = Dtype::Float32;
    bool defined = false;
  };
  std::vector<Shape> tensors; // one, or those of a list
  Value value;                // what is no tensor
  bool is_tensor = false;
  bool is_list = false; // of tensors
};

struct ProfileEvent {
  std::string name;
  std::string overload;
  RecordScope scope = RecordScope::Function;
  int64_t start = 0, end = 0; // nanoseconds of the Unix epoch
  int64_t parent = -1;        // place among the events
  int64_t sequence = -1;      // of the node, as in Node::sequence()
  uint64_t thread = 0, forward_thread = 0;
  uint64_t flops = 0;
  int64_t memory = 0; // bytes that became used while nothing inside was open
  bool finished = false;
  bool kernel = false; // ops in it are below autograd
  std::vector<RecordedInput> inputs;
  std::vector<std::string> stack; // innermost first
};

// Memory that became used (or free) up to a moment.
struct ProfileAllocation {
  int64_t at = 0, bytes = 0, total = 0;
  int64_t event = -1; // in which
};

struct ProfileOptions {
  bool shapes = false;
  bool memory = false;
  bool stack = false;
  bool flops = false;
  bool modules = false;
};

class FL_API Profile {
 public:
  explicit Profile(const ProfileOptions& options);

  const ProfileOptions options;
  std::vector<ProfileEvent> events;
  std::vector<ProfileAllocation> allocations;
  int64_t started = 0, stopped = 0;
  bool paused = false;

  // The place of the new event.
  size_t open(std::string name, RecordScope scope, int64_t sequence = -1);
  // Any open one: scopes may end in another order than they began.
  void close(size_t event);
  // What is open ends now.
  void finish();
  // The event that is open here, or nullptr.
  const ProfileEvent* innermost() const;

 private:
  void count_memory(int64_t now);

  std::vector<size_t> open_;
  int64_t memory_ = 0;
};

namespace detail {
FL_API extern std::atomic<int> profiles; // that run, of all threads
} // namespace detail

// Is any thread profiled? All that is asked where none is.
inline bool profiling() {
  return detail::profiles.load(std::memory_order_relaxed) != 0;
}
// The calling thread's profile, which is not paused; or null.
FL_API std::shared_ptr<Profile> current_profile();

// Errors: one runs on this thread; none does.
FL_API std::shared_ptr<Profile> start_profile(const ProfileOptions& options);
FL_API std::shared_ptr<Profile> stop_profile();
// Whether one runs on this thread, paused or not.
FL_API std::shared_ptr<Profile> running_profile();

// Small numbers, from 1, as PyTorch has them.
FL_API uint64_t thread_number();
FL_API int64_t unix_nanoseconds();

// The lines of the host's stack, innermost first, if it can give them.
FL_API std::function<std::vector<std::string>()>& profile_stack_hook();

// An event that lasts as long as this; nothing where there is no profile.
class FL_API ProfileScope {
 public:
  ProfileScope() = default;
  ProfileScope(
      std::shared_ptr<Profile> profile,
      std::string name,
      RecordScope scope,
      int64_t sequence = -1);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

  ProfileEvent* event() const {
    return profile_ ? &profile_->events[event_] : nullptr;
  }

 private:
  std::shared_ptr<Profile> profile_;
  size_t event_ = 0;
};

FL_API RecordedInput recorded_input(const Value& value);

} // namespace flashlight
