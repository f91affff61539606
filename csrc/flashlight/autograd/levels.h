// The stack of function transforms; see Note [Levels] in core/wrapped.h.
#pragma once

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/wrapped.h"

namespace flashlight {

namespace detail {
FL_API const LevelHandle& top_level();
inline const LevelHandle no_level;
} // namespace detail

// The level at which ops run now; null outside of transforms.
inline const LevelHandle& top_level() {
  return autograd_state().in_transform ? detail::top_level() : detail::no_level;
}

// Enters a level, from construction on to the end of the scope.
class FL_API EnterLevel {
 public:
  explicit EnterLevel(LevelKind kind);
  ~EnterLevel();
  EnterLevel(const EnterLevel&) = delete;
  EnterLevel& operator=(const EnterLevel&) = delete;

  const LevelHandle& level() const {
    return level_;
  }

 private:
  LevelHandle level_;
};
// The same, for those whose scopes are the host language's.
FL_API LevelHandle push_level(LevelKind kind);
FL_API void pop_level(const LevelHandle& level);

// Goes one level down for a scope.
class FL_API BelowLevel {
 public:
  explicit BelowLevel(const Level& level);
  ~BelowLevel();
  BelowLevel(const BelowLevel&) = delete;
  BelowLevel& operator=(const BelowLevel&) = delete;

 private:
  LevelHandle before_;
  bool grad_mode_, forward_mode_;
};

// Does the tensor belong to this level?
inline bool is_at(const Tensor& t, const Level& level) {
  return t->wrapped && t->wrapped->level.get() == &level;
}
// A tensor of `level` that stands for `inner`. `view_of`: it is a view of that
// one, and shares its version counter.
FL_API Tensor wrap_at(
    const LevelHandle& level,
    const Tensor& inner,
    int64_t batch_dim = -1,
    const Tensor* view_of = nullptr);
// Makes `tensor` stand for `inner`.
FL_API void
rewrap(const Tensor& tensor, const Tensor& inner, int64_t batch_dim);
// What it stands for in the end; of a batch, all of it.
FL_API Tensor outside_levels(Tensor tensor);
// What the tensor is outside of transforms that have ended.
FL_API Tensor without_dead_levels(Tensor tensor);

} // namespace flashlight
