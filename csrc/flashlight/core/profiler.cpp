#include "flashlight/core/profiler.h"

#include <algorithm>
#include <chrono>

#include <mlx/memory.h>

#include "flashlight/core/runtime.h"

namespace flashlight {

namespace {

std::shared_ptr<Profile>& thread_profile() {
  thread_local std::shared_ptr<Profile> profile;
  return profile;
}

int64_t used_memory() {
  return static_cast<int64_t>(mx::get_active_memory());
}

RecordedInput::Shape shape_of(const Tensor& t) {
  if (!t.defined()) {
    return {};
  }
  return {t.sizes(), t.strides(), t.dtype(), true};
}

// Work that was recorded before is not to be charged to what follows.
void settle_all() {
  flush();
  mx::synchronize(process_stream());
}

} // namespace

std::atomic<int> detail::profiles{0};

int64_t unix_nanoseconds() {
  using namespace std::chrono;
  // Steady, from where the wall clock was once.
  static const auto between = system_clock::now().time_since_epoch() -
                              steady_clock::now().time_since_epoch();
  auto now = steady_clock::now().time_since_epoch() + between;
  return duration_cast<nanoseconds>(now).count();
}

uint64_t thread_number() {
  static std::atomic<uint64_t> next{1};
  thread_local uint64_t number = next++;
  return number;
}

std::function<std::vector<std::string>()>& profile_stack_hook() {
  static std::function<std::vector<std::string>()> hook;
  return hook;
}

Profile::Profile(const ProfileOptions& options) : options(options) {
  memory_ = used_memory();
  started = unix_nanoseconds();
}

void Profile::count_memory(int64_t now) {
  if (!options.memory) {
    return;
  }
  int64_t used = used_memory();
  if (used == memory_) {
    return;
  }
  int64_t event = open_.empty() ? -1 : static_cast<int64_t>(open_.back());
  allocations.push_back({now, used - memory_, used, event});
  if (event >= 0) {
    events[open_.back()].memory += used - memory_;
  }
  memory_ = used;
}

size_t Profile::open(std::string name, RecordScope scope, int64_t sequence) {
  ProfileEvent event;
  event.name = std::move(name);
  event.scope = scope;
  event.sequence = sequence;
  event.thread = thread_number();
  event.parent = open_.empty() ? -1 : static_cast<int64_t>(open_.back());
  if (options.stack && scope != RecordScope::PythonFunction &&
      profile_stack_hook()) {
    event.stack = profile_stack_hook()();
  }
  event.start = unix_nanoseconds();
  count_memory(event.start);
  size_t place = events.size();
  events.push_back(std::move(event));
  open_.push_back(place);
  return place;
}

void Profile::close(size_t event) {
  auto at = std::find(open_.rbegin(), open_.rend(), event);
  if (at == open_.rend()) {
    return; // ended with the profile
  }
  ProfileEvent& e = events[event];
  e.end = unix_nanoseconds();
  e.finished = true;
  count_memory(e.end);
  open_.erase(std::next(at).base());
}

void Profile::finish() {
  stopped = unix_nanoseconds();
  count_memory(stopped);
  for (size_t event : open_) {
    events[event].end = stopped;
  }
  open_.clear();
}

const ProfileEvent* Profile::innermost() const {
  return open_.empty() ? nullptr : &events[open_.back()];
}

std::shared_ptr<Profile> running_profile() {
  return thread_profile();
}

std::shared_ptr<Profile> current_profile() {
  const std::shared_ptr<Profile>& profile = thread_profile();
  return profile && !profile->paused ? profile : nullptr;
}

std::shared_ptr<Profile> start_profile(const ProfileOptions& options) {
  FL_CHECK(!thread_profile(), "Profiler is already enabled on this thread.");
  settle_all();
  thread_profile() = std::make_shared<Profile>(options);
  detail::profiles.fetch_add(1);
  return thread_profile();
}

std::shared_ptr<Profile> stop_profile() {
  FL_CHECK(
      thread_profile(), "Can't disable Kineto profiler when it's not running");
  thread_profile()->finish();
  detail::profiles.fetch_sub(1);
  return std::move(thread_profile());
}

ProfileScope::ProfileScope(
    std::shared_ptr<Profile> profile,
    std::string name,
    RecordScope scope,
    int64_t sequence)
    : profile_(std::move(profile)) {
  if (profile_) {
    event_ = profile_->open(std::move(name), scope, sequence);
  }
}

ProfileScope::~ProfileScope() {
  if (profile_) {
    profile_->close(event_);
  }
}

RecordedInput recorded_input(const Value& value) {
  RecordedInput input;
  if (const auto* list = value.get_if<TensorList>()) {
    input.is_list = true;
    for (const Tensor& t : *list) {
      input.tensors.push_back(shape_of(t));
    }
  } else if (const Tensor* t = value.tensor()) {
    input.is_tensor = true;
    input.tensors.push_back(shape_of(*t));
  } else if (!value.is_none()) {
    input.value = value;
  }
  return input;
}

} // namespace flashlight
