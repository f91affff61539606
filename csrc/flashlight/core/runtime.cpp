#include "flashlight/core/runtime.h"

#include <atomic>
#include <iostream>
#include <mutex>
#include <optional>

#include <mlx/device.h>
#include <mlx/ops.h>
#include <mlx/stream.h>
#include <mlx/transforms.h>

#include "flashlight/core/pending.h"
#include "flashlight/core/small_graph.h"
#include "flashlight/core/storage.h"
#include "flashlight/core/turn.h"

namespace flashlight {

namespace {

struct PendingList {
  std::mutex mutex;
  Storage* head = nullptr;
  int64_t nodes = 0;
  int64_t bytes = 0;
};

PendingList& pending() {
  static auto* list = new PendingList; // outlives every static tensor
  return *list;
}

// Replaced in a forked child, whose only thread is not the owner there.
std::recursive_mutex*& eval_mutex_slot() {
  static auto* mutex = new std::recursive_mutex;
  return mutex;
}

std::recursive_mutex& eval_mutex() {
  return *eval_mutex_slot();
}

mx::Stream new_process_stream() {
  return mx::new_thread_unsafe_stream(mx::default_device());
}

mx::Stream& process_stream_slot() {
  static auto* stream = new mx::Stream(new_process_stream());
  return *stream;
}

std::atomic<unsigned> forks{0};

// Runs f without the host's lock, in turn with other evaluations.
template <typename F>
void unlocked(F&& f) {
  const HostHooks& hooks = host_hooks();
  void* state = hooks.release_lock ? hooks.release_lock() : nullptr;
  struct Restore {
    const HostHooks& hooks;
    void* state;
    ~Restore() {
      if (hooks.acquire_lock && state) {
        hooks.acquire_lock(state);
      }
    }
  } restore{hooks, state};
  std::lock_guard turn(eval_mutex());
  f();
}

// Does what is small of the arrays' graphs on this thread, with the host's lock
// held, unless another thread evaluates. True if nothing is left.
bool all_small(const std::vector<mx::array>& arrays) {
  std::unique_lock turn(eval_mutex(), std::try_to_lock);
  if (!turn) {
    return false;
  }
  eval_small(arrays);
  for (const mx::array& a : arrays) {
    if (a.status() != mx::array::Status::available) {
      return false;
    }
  }
  return true;
}

// A result of the evaluation that was started last.
std::optional<mx::array>& started() {
  static auto* last = new std::optional<mx::array>; // outlives static tensors
  return *last;
}

// One evaluation at a time: MLX holds the results of one that runs, and what
// replaces them could not take their buffers. The stream does them in turn
// anyway.
void finish_started() {
  if (started()) {
    started()->wait();
    started().reset();
  }
}

void start(std::vector<mx::array> arrays) {
  finish_started();
  started() = mx::zeros({1});
  arrays.push_back(*started());
  mx::async_eval(std::move(arrays));
}

} // namespace

namespace {

std::mutex& turn_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

thread_local int turns = 0; // that this thread has

// What a program without a host lends: nothing, by a thread without a turn.
void* give_turn() {
  if (turns == 0) {
    return nullptr;
  }
  turn_mutex().unlock();
  return &turns;
}

void take_turn(void*) {
  turn_mutex().lock();
}

} // namespace

Turn::Turn() {
  if (turns++ == 0) {
    turn_mutex().lock();
  }
  enter_stream();
}

Turn::~Turn() {
  if (--turns == 0) {
    turn_mutex().unlock();
  }
}

HostHooks& host_hooks() {
  static HostHooks hooks{.release_lock = give_turn, .acquire_lock = take_turn};
  return hooks;
}

void warn(const std::string& text) {
  if (host_hooks().warn) {
    host_hooks().warn(text.c_str());
  } else {
    std::cerr << "Warning: " << text << '\n';
  }
}

PendingLimits& pending_limits() {
  static PendingLimits limits;
  return limits;
}

const mx::Stream& process_stream() {
  return process_stream_slot();
}

unsigned fork_count() {
  return forks.load(std::memory_order_relaxed);
}

void enter_stream() {
  thread_local unsigned entered = ~0u; // at this count of forks
  if (entered != fork_count()) [[unlikely]] {
    mx::set_default_stream(process_stream());
    entered = fork_count();
  }
}

void before_fork() {
  flush();
  eval_mutex().lock();
  finish_started();
  mx::synchronize(process_stream());
}

void after_fork(bool in_child) {
  if (!in_child) {
    eval_mutex().unlock();
    return;
  }
  eval_mutex_slot() = new std::recursive_mutex;
  process_stream_slot() = new_process_stream();
  forks.fetch_add(1);
}

void eval(std::vector<mx::array> arrays) {
  enter_stream();
  bool available = true;
  for (const mx::array& a : arrays) {
    available = available && a.status() == mx::array::Status::available;
  }
  if (available || all_small(arrays)) {
    return;
  }
  unlocked([&] {
    finish_started();
    mx::eval(std::move(arrays));
  });
}

bool eval_if_small(const mx::array& array) {
  enter_stream();
  std::unique_lock turn(eval_mutex(), std::try_to_lock);
  if (!turn) {
    return false;
  }
  eval_wholly_small(array);
  return array.status() == mx::array::Status::available;
}

void flush() {
  std::vector<mx::array> arrays;
  {
    PendingList& list = pending();
    std::lock_guard lock(list.mutex);
    while (Storage* s = list.head) {
      arrays.push_back(s->array());
      s->unlink();
    }
    list.nodes = 0;
    list.bytes = 0;
  }
  if (!arrays.empty() && !all_small(arrays)) {
    unlocked([&] { start(std::move(arrays)); });
  }
}

namespace {

thread_local int tracing = 0;
thread_local int held = 0;

// Under the list's lock.
bool is_due(const PendingList& list) {
  const PendingLimits& limits = pending_limits();
  return list.nodes >= limits.nodes || list.bytes >= limits.bytes;
}

bool flush_is_due() {
  std::lock_guard lock(pending().mutex);
  return is_due(pending());
}

} // namespace

HoldFlush::HoldFlush() {
  ++held;
}
HoldFlush::~HoldFlush() {
  if (--held == 0 && flush_is_due()) {
    flush();
  }
}

Tracing::Tracing() {
  ++tracing;
}
Tracing::~Tracing() {
  --tracing;
}
bool is_tracing() {
  return tracing > 0;
}

namespace detail {

void track_pending(Storage& storage) {
  if (tracing > 0) {
    return;
  }
  bool due = false;
  {
    PendingList& list = pending();
    std::lock_guard lock(list.mutex);
    storage.link(&list.head);
    list.nodes += 1;
    list.bytes += static_cast<int64_t>(storage.array().nbytes());
    due = is_due(list);
  }
  if (due && held == 0) {
    flush();
  }
}

void untrack_pending(Storage& storage) {
  std::lock_guard lock(pending().mutex);
  storage.unlink();
}

} // namespace detail

} // namespace flashlight
