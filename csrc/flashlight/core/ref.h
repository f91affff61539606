// Intrusive reference counting: Ref<T> over a T that derives from RefCounted.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace flashlight {

class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  uint32_t use_count() const {
    return count_.load(std::memory_order_acquire);
  }

 protected:
  ~RefCounted() = default;

 private:
  template <typename T>
  friend class Ref;
  mutable std::atomic<uint32_t> count_{0};
};

// T may shadow on_shared() / on_unique(): called when the count goes from one
// to two and back (see Note [Python identity] in tensor.h).
template <typename T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* p) : p_(p) {
    retain();
  }
  // Of what may be on its way out: null if it is.
  static Ref if_alive(T* p) {
    uint32_t count = p->count_.load(std::memory_order_relaxed);
    Ref out;
    while (count != 0 && !out.p_) {
      if (p->count_.compare_exchange_weak(
              count, count + 1, std::memory_order_acq_rel)) {
        out.p_ = p;
      }
    }
    return out;
  }
  Ref(const Ref& other) : p_(other.p_) {
    retain();
  }
  Ref(Ref&& other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~Ref() {
    reset();
  }

  void reset() {
    T* p = std::exchange(p_, nullptr);
    if (!p) {
      return;
    }
    uint32_t before = p->count_.fetch_sub(1, std::memory_order_acq_rel);
    if (before == 1) {
      delete p;
    } else if constexpr (requires { p->on_unique(); }) {
      if (before == 2) {
        p->on_unique();
      }
    }
  }

  T* get() const {
    return p_;
  }
  T* operator->() const {
    return p_;
  }
  T& operator*() const {
    return *p_;
  }
  explicit operator bool() const {
    return p_ != nullptr;
  }
  bool operator==(const Ref& other) const {
    return p_ == other.p_;
  }

 private:
  void retain() {
    if (p_) {
      uint32_t before = p_->count_.fetch_add(1, std::memory_order_relaxed);
      if constexpr (requires { p_->on_shared(); }) {
        if (before == 1) {
          p_->on_shared();
        }
      }
    }
  }

  T* p_ = nullptr;
};

template <typename T, typename... Args>
Ref<T> make_ref(Args&&... args) {
  return Ref<T>(new T(std::forward<Args>(args)...));
}

} // namespace flashlight
