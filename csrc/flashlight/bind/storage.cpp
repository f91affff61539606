// UntypedStorage: the storage cell as Python sees it.
#include "flashlight/bind/py_tensor.h"

#include <optional>

#include <nanobind/stl/optional.h>

#include <mlx/ops.h>

#include "flashlight/core/dispatching.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/storage.h"

namespace flashlight::bind {

namespace {

struct StorageObject {
  Ref<Storage> storage;
  // Of a tensor without data (see Note [Tensors that dispatch]), as bytes.
  std::optional<int64_t> without_data = {};

  // What tells it from other storages, while it lives.
  uintptr_t cdata() const {
    return reinterpret_cast<uintptr_t>(storage.get());
  }
  void check_data(const char* what) const {
    FL_CHECK(!without_data, what, " on an invalid python storage.");
  }
};

StorageObject storage_of(const Tensor& t) {
  StorageObject out{t->storage};
  if (is_dispatching(t) && t->storage->numel() == 0 && t.numel() != 0) {
    out.without_data = storage_extent(t.geometry()) * itemsize(t.dtype());
  }
  return out;
}

// Tells of a storage without keeping it.
struct WeakStorage {
  uintptr_t cdata;
  std::shared_ptr<const std::atomic<bool>> lives;
};

} // namespace

void bind_storage(nb::module_& m) {
  nb::class_<WeakStorage>(m, "_WeakStorage")
      .def_ro("cdata", &WeakStorage::cdata)
      .def("expired", [](WeakStorage& w) { return !*w.lives; });
  nb::class_<StorageObject>(m, "_Storage")
      .def(
          "data_ptr",
          [](StorageObject& s) {
            s.check_data("Attempted to access the data pointer");
            return s.storage->nbytes() == 0 ? 0 : s.storage->address();
          })
      .def(
          "nbytes",
          [](StorageObject& s) {
            return s.without_data.value_or(s.storage->nbytes());
          })
      .def("resizable", [](StorageObject& s) { return s.storage->resizable(); })
      .def(
          "resize_",
          [](StorageObject& s, int64_t bytes) {
            s.check_data("Attempted to call resize_()");
            s.storage->resize(bytes);
          })
      .def_prop_ro(
          "device",
          [](StorageObject& s) {
            return nb::steal(device_object(s.storage->device()));
          })
      .def(
          "same",
          [](StorageObject& a, StorageObject& b) {
            return a.storage == b.storage;
          })
      .def(
          "share",
          [](StorageObject& s) {
            s.check_data("Attempted to share the data");
            FL_CHECK_AS(
                NotImplementedError,
                s.storage->device().type == DeviceType::Cpu,
                "share_memory_(): memory of device ",
                to_string(s.storage->device()),
                " cannot be shared with other processes");
            enter_stream();
            s.storage->share();
          })
      .def("is_shared", [](StorageObject& s) { return !!s.storage->shared(); })
      // The descriptor by which another process can open it; of what is shared.
      .def(
          "descriptor",
          [](StorageObject& s) { return s.storage->shared()->descriptor(); })
      // The same for two objects of one storage, while one of them lives.
      .def(
          "key",
          [](StorageObject& s) {
            return nb::make_tuple(s.cdata(), s.without_data.value_or(-1));
          })
      .def_prop_ro("_cdata", &StorageObject::cdata)
      .def(
          "weak",
          [](StorageObject& s) {
            return WeakStorage{s.cdata(), s.storage->lives()};
          })
      .def("use_count", [](StorageObject& s) { return s.storage->use_count(); })
      // A tensor over the bytes, aliasing.
      .def("_as_tensor", [](StorageObject& s, nb::handle dtype) {
        s.check_data("Attempted to access the data");
        Dtype d = to_dtype(dtype.ptr());
        int64_t n = s.storage->nbytes() / itemsize(d);
        auto impl = make_ref<TensorImpl>();
        impl->storage = s.storage;
        impl->geometry = {IntList{n}, IntList{1}, 0};
        impl->dtype = d;
        impl->version = make_ref<VersionCounter>();
        return nb::steal(wrap(Tensor(std::move(impl))));
      });
  m.def("_storage_of", &storage_of);
  m.def("_new_storage", [](int64_t nbytes, nb::handle device) {
    mx::array a = mx::zeros({static_cast<mx::ShapeElem>(nbytes)}, mx::uint8);
    Layout layout{IntList{nbytes}, IntList{1}};
    Device d = device.is_none() ? Device{} : to_device(device.ptr());
    return StorageObject{make_ref<Storage>(a, layout, d)};
  });
  // On the memory behind a descriptor, which is taken over.
  m.def("_open_shared_storage", [](int descriptor, size_t nbytes) {
    return StorageObject{
        Storage::on(std::make_unique<SharedMemory>(descriptor, nbytes))};
  });
  // tensor.set_(storage, offset, size, stride), after its checks.
  m.def(
      "_set_storage",
      [](const Tensor& t,
         StorageObject& s,
         int64_t offset,
         nb::sequence size,
         nb::sequence stride) {
        Geometry g;
        for (nb::handle n : size) {
          g.sizes.push_back(to_int(n.ptr()));
        }
        for (nb::handle n : stride) {
          g.strides.push_back(to_int(n.ptr()));
        }
        g.offset = offset;
        int64_t bytes = storage_extent(g) * itemsize(t.dtype());
        if (bytes > s.storage->nbytes()) {
          s.storage->resize(bytes);
        }
        t->storage = s.storage;
        t->geometry = std::move(g);
        t.bump_version();
      });
}

} // namespace flashlight::bind
