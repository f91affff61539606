// When recorded work runs: streams, evaluation, and what Python must lend.
//
// Note [Laziness]
// An op records an MLX node; values are asked for by item(), printing, numpy
// and data-dependent ops. Storages that hold an unevaluated array are on a list
// (weakly: a storage leaves it when it dies), and when the work recorded since
// the last flush passes a cap, all of them are handed to mx::async_eval. So a
// loop that never reads anything keeps neither an endless graph nor the buffers
// that it would hold, and no module or optimizer has to know.
//
// All work of the process goes to one stream, whichever thread records it, so
// that tensors can cross threads; evaluations take turns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <mlx/array.h>
#include <mlx/stream.h>

#include "flashlight/core/api.h"

namespace flashlight {

namespace mx = mlx::core;

class Storage;

// What a host language lends: set by the binding, absent in a C++ program.
struct HostHooks {
  void* (*release_lock)() = nullptr; // returns what acquire_lock is given
  void (*acquire_lock)(void*) = nullptr;
  void (*keep_alive)(void* object) = nullptr; // see Note [Python identity]
  void (*let_go)(void* object) = nullptr;
  // Does nothing of the host's own refer to an object that is kept alive?
  bool (*only_kept)(void* object) = nullptr;
  bool (*interrupted)() = nullptr;          // a signal is waiting
  void (*warn)(const char* text) = nullptr; // UserWarning
};
FL_API HostHooks& host_hooks();
// A UserWarning; to stderr where there is no host.
FL_API void warn(const std::string& text);

// Makes the process's stream the calling thread's default. Every op calls it.
FL_API void enter_stream();
FL_API const mx::Stream& process_stream();

// Note [Forks]
// A forked child has none of its parent's threads, and MLX's stream is one. So
// nothing is left pending when a process forks, and the child takes a new
// stream.
FL_API void before_fork();
FL_API void after_fork(bool in_child);
// How often this process came of a fork: what names a stream is made again
// then.
FL_API unsigned fork_count();

// Evaluates and waits, without the host's lock.
FL_API void eval(std::vector<mx::array> arrays);
// Starts evaluating everything that live storages still owe.
FL_API void flush();

// While one lives, what the calling thread records is a trace of MLX's (vjp):
// its arrays are not put on the list, for they must not be evaluated.
class FL_API Tracing {
 public:
  Tracing();
  ~Tracing();
  Tracing(const Tracing&) = delete;
  Tracing& operator=(const Tracing&) = delete;
};

// The cap on recorded and unevaluated work: nodes, bytes.
struct PendingLimits {
  int64_t nodes = 600;
  int64_t bytes = int64_t{512} << 20;
};
FL_API PendingLimits& pending_limits();

namespace detail {
void track_pending(Storage& storage);
void untrack_pending(Storage& storage);
} // namespace detail

} // namespace flashlight
