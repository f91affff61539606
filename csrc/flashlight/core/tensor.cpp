#include "flashlight/core/tensor.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/core/complex128.h"
#include "flashlight/core/conversion.h"
#include "flashlight/core/dispatching.h"
#include "flashlight/core/error.h"
#include "flashlight/core/host_access.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/wrapped.h"

namespace flashlight {

void check_outside_transforms(const Tensor& t) {
  FL_CHECK(
      !t->wrapped,
      "Cannot write to the storage of a Tensor inside of a function transform "
      "other than by an in-place op");
}

TensorImpl::~TensorImpl() = default;
NotOneValue::~NotOneValue() = default;

void TensorImpl::on_shared() const {
  if (python) {
    host_hooks().keep_alive(python);
  }
}

void TensorImpl::on_unique() const {
  if (python) {
    host_hooks().let_go(python);
  }
}

Tensor::Tensor(mx::array value) {
  IntList sizes = to_int_list(value.shape());
  IntList strides = contiguous_strides(sizes);
  *this =
      Tensor(std::move(value), std::move(sizes), std::move(strides), Device{});
}

Tensor::Tensor(mx::array value, IntList strides, Device device)
    : Tensor(value, to_int_list(value.shape()), std::move(strides), device) {}

Tensor::Tensor(mx::array value, IntList sizes, IntList strides, Device device)
    : impl_(make_ref<TensorImpl>()) {
  Layout layout{sizes, strides};
  impl_->geometry = {std::move(sizes), std::move(strides), 0};
  impl_->dtype = from_mlx(value.dtype());
  impl_->storage =
      make_ref<Storage>(std::move(value), std::move(layout), device);
  impl_->version = make_ref<VersionCounter>();
}

int64_t wrap_dim(int64_t dim, int64_t ndim) {
  int64_t n = std::max<int64_t>(ndim, 1);
  FL_CHECK_INDEX(
      dim >= -n && dim < n,
      "Dimension out of range (expected to be in range of [",
      -n,
      ", ",
      n - 1,
      "], but got ",
      dim,
      ")");
  return dim < 0 ? dim + n : dim;
}

int64_t Tensor::size(int64_t d) const {
  FL_CHECK_INDEX(
      dim() > 0, "Dimension specified as ", d, " but tensor has no dimensions");
  return sizes()[static_cast<size_t>(wrap_dim(d, dim()))];
}

int64_t Tensor::stride(int64_t d) const {
  FL_CHECK_INDEX(
      dim() > 0, "Dimension specified as ", d, " but tensor has no dimensions");
  return strides()[static_cast<size_t>(wrap_dim(d, dim()))];
}

bool Tensor::is_contiguous(MemoryFormat format) const {
  switch (format) {
    case MemoryFormat::ChannelsLast:
      return dim() == 4 && is_channels_last(sizes(), strides());
    case MemoryFormat::ChannelsLast3d:
      return dim() == 5 && is_channels_last(sizes(), strides());
    default:
      return flashlight::is_contiguous(sizes(), strides());
  }
}

uintptr_t Tensor::data_ptr() const {
  FL_CHECK(
      !impl_->wrapped,
      "Cannot access data pointer of Tensor that doesn't have storage");
  if (impl_->storage->numel() == 0) {
    return 0;
  }
  return impl_->storage->address() +
         static_cast<uintptr_t>(storage_offset() * itemsize(dtype()));
}

namespace {

mx::array negated(const mx::array& value) {
  FL_CHECK_AS(
      NotImplementedError,
      value.dtype() != mx::bool_,
      "\"neg_cpu\" not implemented for 'Bool'");
  return mx::negative(value);
}

// Only where there are tensors that dispatch are there tensors without data.
void check_storage(const Tensor& t) {
  FL_CHECK(
      !any_dispatching() || t->storage->numel() != 0 || t.numel() == 0,
      "Cannot access data pointer of Tensor that doesn't have storage");
}

void check_has_data(const Tensor& t) {
  FL_CHECK_AS(
      NotImplementedError,
      t.device().type != DeviceType::Meta,
      "Cannot copy out of meta tensor; no data!");
  check_storage(t);
}

// Pairs under the conj and neg bits of a tensor.
mx::array with_bits(const mx::array& pairs, const TensorImpl& t) {
  if (!t.conj && !t.neg) {
    return pairs;
  }
  double real = t.neg ? -1 : 1, imag = t.neg != t.conj ? -1 : 1;
  return mx::multiply(pairs, mx::array({real, imag}, mx::float64));
}

} // namespace

namespace {

// What a tensor of a level stands for, where that is one value.
Tensor readable(const Tensor& t) {
  const Wrapped& wrapped = *t->wrapped;
  FL_CHECK_AS(
      NotOneValue,
      wrapped.level->kind != LevelKind::Batch,
      "Cannot access data pointer of Tensor that doesn't have storage");
  return wrapped.inner;
}

} // namespace

mx::array Tensor::value() const {
  if (impl_->wrapped) [[unlikely]] {
    return readable(*this).value();
  }
  check_has_data(*this);
  if (dtype() == Dtype::Complex128) [[unlikely]] {
    throw NotForComplex128();
  }
  mx::array value = impl_->storage->read(impl_->geometry, impl_->dtype);
  if (impl_->conj) {
    value = mx::conjugate(value);
  }
  return impl_->neg ? negated(value) : value;
}

mx::array Tensor::pairs() const {
  if (impl_->wrapped) [[unlikely]] {
    return readable(*this).pairs();
  }
  check_has_data(*this);
  FL_CHECK(
      dtype() == Dtype::Complex128, "pairs() of a tensor of another dtype");
  return with_bits(impl_->storage->read(impl_->geometry, dtype()), *impl_);
}

void Tensor::assign(const Tensor& from) const {
  check_outside_transforms(*this);
  check_storage(*this);
  if (dtype() == Dtype::Complex128) [[unlikely]] {
    impl_->storage->write(
        impl_->geometry, dtype(), with_bits(pairs_of(from), *impl_));
  } else if (from.dtype() == Dtype::Complex128) [[unlikely]] {
    set_value(value_as(from, dtype()));
  } else {
    set_value(from.value());
  }
}

void Tensor::set_value(const mx::array& value) const {
  check_outside_transforms(*this);
  check_storage(*this);
  mx::array v = mx::astype(value, to_mlx(dtype()));
  if (impl_->neg) {
    v = negated(v);
  }
  if (impl_->conj) {
    v = mx::conjugate(v);
  }
  impl_->storage->write(impl_->geometry, impl_->dtype, v);
}

uint32_t Tensor::version() const {
  FL_CHECK(impl_->version, "Inference tensors do not track version counter.");
  return impl_->version->value();
}

void Tensor::bump_version() const {
  if (impl_->version) {
    impl_->version->bump();
  }
}

Tensor Tensor::alias(Geometry geometry, Dtype dtype) const {
  auto impl = make_ref<TensorImpl>();
  impl->storage = impl_->storage;
  impl->geometry = std::move(geometry);
  impl->dtype = dtype;
  impl->conj = impl_->conj;
  impl->neg = impl_->neg;
  impl->inference = impl_->inference;
  impl->version = impl_->version;
  if (impl_->wrapped) [[unlikely]] {
    FL_CHECK(
        impl->geometry == impl_->geometry && impl->dtype == impl_->dtype,
        "a view of a Tensor inside of a function transform that no op made");
    impl->wrapped = impl_->wrapped;
  }
  return Tensor(std::move(impl));
}

Scalar Tensor::item() const {
  FL_CHECK(
      numel() == 1,
      "a Tensor with ",
      numel(),
      " elements cannot be converted to Scalar");
  FL_CHECK_AS(
      NotOneValue,
      !impl_->wrapped || impl_->wrapped->level->kind != LevelKind::Batch,
      "vmap: It looks like you're calling .item() on a Tensor. We don't "
      "support "
      "vmap over calling .item() on a Tensor, please try to rewrite what "
      "you're "
      "doing with other operations. If error is occurring somewhere inside "
      "PyTorch internals, please file a bug report.");
  if (is_dispatching(*this)) [[unlikely]] {
    return dispatching_hooks().item(*this);
  }
  mx::array v = any_value(*this);
  if (v.size() > 1) { // pairs
    v = mx::contiguous(v);
  }
  if (!is_there(v)) {
    flashlight::eval({v});
  }
  switch (dtype()) {
    case Dtype::Complex128:
      return Scalar(
          std::complex<double>(v.data<double>()[0], v.data<double>()[1]));
    case Dtype::Bool:
      return Scalar(*v.data<bool>());
    case Dtype::UInt8:
      return Scalar(int64_t{*v.data<uint8_t>()});
    case Dtype::UInt16:
      return Scalar(int64_t{*v.data<uint16_t>()});
    case Dtype::UInt32:
      return Scalar(int64_t{*v.data<uint32_t>()});
    case Dtype::UInt64:
      return Scalar(static_cast<int64_t>(*v.data<uint64_t>()));
    case Dtype::Int8:
      return Scalar(int64_t{*v.data<int8_t>()});
    case Dtype::Int16:
      return Scalar(int64_t{*v.data<int16_t>()});
    case Dtype::Int32:
      return Scalar(int64_t{*v.data<int32_t>()});
    case Dtype::Int64:
      return Scalar(*v.data<int64_t>());
    case Dtype::Float16:
      return Scalar(double{static_cast<float>(*v.data<mx::float16_t>())});
    case Dtype::BFloat16:
      return Scalar(double{static_cast<float>(*v.data<mx::bfloat16_t>())});
    case Dtype::Float32:
      return Scalar(double{*v.data<float>()});
    case Dtype::Float64:
      return Scalar(*v.data<double>());
    default: {
      mx::complex64_t z = *v.data<mx::complex64_t>();
      return Scalar(std::complex<double>(z.real(), z.imag()));
    }
  }
}

std::string type_name(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case Dtype::UInt8:
    case Dtype::Int8:
    case Dtype::Int16:
    case Dtype::Int32:
    case Dtype::Int64:
    case Dtype::Float16:
    case Dtype::Float32:
    case Dtype::Float64:
      break;
    default: { // PyTorch has no name in Python's style for what came later
      std::string on(name(tensor.device().type));
      std::transform(on.begin(), on.end(), on.begin(), [](unsigned char c) {
        return static_cast<char>(std::toupper(c));
      });
      return on + std::string(scalar_name(tensor.dtype())) + "Type";
    }
  }
  std::string text = "torch.";
  if (tensor.device().type != DeviceType::Cpu) {
    text += name(tensor.device().type);
    text += '.';
  }
  text += scalar_name(tensor.dtype());
  return text + "Tensor";
}

mx::array scalar_array(const Scalar& value, Dtype dtype) {
  mx::Dtype to = to_mlx(dtype);
  if (is_complex(dtype)) {
    return mx::array(std::complex<float>(value.to_complex()), to);
  }
  if (dtype == Dtype::Bool) {
    return mx::array(value.to_bool(), to);
  }
  if (value.to_complex().imag() != 0) {
    fail_to_fit(dtype);
  }
  if (value.is_integral()) {
    return mx::array(value.to_int(), to);
  }
  double x = value.to_double();
  if (dtype == Dtype::Int64 && x == 0x1p63) { // wraps, as in PyTorch
    return mx::array(std::numeric_limits<int64_t>::min(), to);
  }
  return mx::array(x, to);
}

Tensor wrapped_number(const Scalar& value) {
  Dtype dtype = value.dtype();
  // As PyTorch: kept wide until promotion decides.
  if (value.is_double()) {
    dtype = Dtype::Float64;
  }
  Tensor out = value.is_complex() ? complex128_number(value, {}, {}, Device{})
                                  : Tensor(scalar_array(value, dtype));
  out->wrapped_number = true;
  return out;
}

} // namespace flashlight
