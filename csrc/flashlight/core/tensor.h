// Tensor: a counted handle on {storage, geometry, dtype, autograd}.
//
// Note [Python identity]
// A tensor that Python has seen has one Python object for as long as anything
// holds it, so that `p.grad is p.grad` and attributes stay. The Python object
// owns one count of the TensorImpl. While C++ holds more (count > 1), the impl
// keeps the object alive with one Python reference; the transitions 1 -> 2 and
// 2 -> 1 of the count are where it is taken and given back.
#pragma once

#include <memory>
#include <optional>

#include <mlx/array.h>

#include "flashlight/core/api.h"
#include "flashlight/core/device.h"
#include "flashlight/core/dtype.h"
#include "flashlight/core/geometry.h"
#include "flashlight/core/ref.h"
#include "flashlight/core/scalar.h"
#include "flashlight/core/storage.h"

namespace flashlight {

// What autograd hangs on a tensor; defined in autograd/autograd_meta.h.
class FL_API AutogradMetaBase {
 public:
  virtual ~AutogradMetaBase() = default;
};

struct Wrapped; // see Note [Levels] in core/wrapped.h

class FL_API TensorImpl : public RefCounted {
 public:
  TensorImpl() = default;
  ~TensorImpl();

  // See Note [Python identity].
  void on_shared() const;
  void on_unique() const;

  Ref<Storage> storage;
  Geometry geometry;
  Dtype dtype = Dtype::Float32;
  bool conj = false;           // shows the conjugate of what is stored
  bool neg = false;            // shows the negative of what is stored
  bool wrapped_number = false; // came from a Python number: weak in promotion
  bool inference = false;      // made in inference mode: no version counter
  Ref<VersionCounter> version;
  std::unique_ptr<AutogradMetaBase> autograd;
  std::shared_ptr<const Wrapped> wrapped; // inside a function transform
  void* python = nullptr; // borrowed; set and cleared by the binding
};

class FL_API Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}
  // A new tensor with this value, lying contiguously.
  explicit Tensor(mx::array value);
  // ... lying in memory with these (dense) strides.
  Tensor(mx::array value, IntList strides, Device device);
  // ... the value's sizes known already.
  Tensor(mx::array value, IntList sizes, IntList strides, Device device);

  bool defined() const {
    return static_cast<bool>(impl_);
  }
  TensorImpl* get() const {
    return impl_.get();
  }
  TensorImpl* operator->() const {
    return impl_.get();
  }
  const Ref<TensorImpl>& impl() const {
    return impl_;
  }
  bool is_same(const Tensor& other) const {
    return impl_ == other.impl_;
  }

  const IntList& sizes() const {
    return impl_->geometry.sizes;
  }
  const IntList& strides() const {
    return impl_->geometry.strides;
  }
  const Geometry& geometry() const {
    return impl_->geometry;
  }
  int64_t storage_offset() const {
    return impl_->geometry.offset;
  }
  int64_t dim() const {
    return impl_->geometry.ndim();
  }
  // Accepts negative dimensions; IndexError with PyTorch's text.
  int64_t size(int64_t dim) const;
  int64_t stride(int64_t dim) const;
  int64_t numel() const {
    return impl_->geometry.numel();
  }
  Dtype dtype() const {
    return impl_->dtype;
  }
  Device device() const {
    return impl_->storage->device();
  }
  bool is_floating_point() const {
    return is_floating(impl_->dtype);
  }
  bool is_complex() const {
    return flashlight::is_complex(impl_->dtype);
  }
  bool is_contiguous(MemoryFormat format = MemoryFormat::Contiguous) const;
  uintptr_t data_ptr() const;

  // The current value, recorded and perhaps not evaluated. NotForComplex128 of
  // such a tensor.
  mx::array value() const;
  // The value of a complex128 tensor: float64, of its sizes and then 2.
  mx::array pairs() const;
  // Replaces the value through this alias: value has the tensor's sizes and is
  // cast to its dtype. Does not touch the version.
  void set_value(const mx::array& value) const;
  // ... by that of another tensor, of any dtype.
  void assign(const Tensor& from) const;

  uint32_t version() const;
  void bump_version() const;

  // An alias of the same storage; shares the version counter, no autograd. Of a
  // tensor inside a transform there is one of its own geometry alone.
  Tensor alias(Geometry geometry, Dtype dtype) const;
  Tensor alias() const {
    return alias(impl_->geometry, impl_->dtype);
  }

  // The one element, evaluated.
  Scalar item() const;

 private:
  Ref<TensorImpl> impl_;
};

// Wraps negative dimensions; IndexError with PyTorch's text if out of range.
// A tensor without dimensions takes 0 and -1.
FL_API int64_t wrap_dim(int64_t dim, int64_t ndim);
// "torch.FloatTensor"
FL_API std::string type_name(const Tensor& tensor);
// One number as an array of that dtype without dimensions.
FL_API mx::array scalar_array(const Scalar& value, Dtype dtype);
// A Python number as a tensor that is weak in type promotion.
FL_API Tensor wrapped_number(const Scalar& value);

} // namespace flashlight
