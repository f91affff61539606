// torch.Generator.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>

#include "flashlight/bind/py_tensor.h"

#include <mlx/ops.h>

namespace flashlight::bind {

namespace {

struct GeneratorObject {
  GeneratorHandle generator;
};

Tensor state_tensor(const std::vector<uint8_t>& bytes) {
  return Tensor(
      mx::array(
          bytes.begin(),
          {static_cast<mx::ShapeElem>(bytes.size())},
          mx::uint8));
}

std::vector<uint8_t> state_bytes(const Tensor& t) {
  FL_CHECK_TYPE(
      t.dtype() == Dtype::UInt8 && t.dim() == 1,
      "RNG state must be a torch.ByteTensor");
  mx::array v = mx::contiguous(t.value());
  v.eval();
  return {v.data<uint8_t>(), v.data<uint8_t>() + v.size()};
}

// Python's seeds may be negative: their bits count.
uint64_t seed_of(nb::handle seed) {
  nb::object i = nb::steal(check(PyNumber_Index(seed.ptr())));
  int overflow = 0;
  long long x = PyLong_AsLongLongAndOverflow(i.ptr(), &overflow);
  if (overflow == 0) {
    return static_cast<uint64_t>(x);
  }
  unsigned long long u = PyLong_AsUnsignedLongLong(i.ptr());
  if (PyErr_Occurred()) {
    PyErr_Clear();
    fail(
        "Overflow when unpacking long long: seed must be within [-2^63, "
        "2^64 - 1]");
  }
  return u;
}

} // namespace

bool is_generator(PyObject* o) {
  return nb::isinstance<GeneratorObject>(o);
}
GeneratorHandle to_generator(PyObject* o) {
  return nb::inst_ptr<GeneratorObject>(o)->generator;
}
PyObject* generator_object(const GeneratorHandle& generator) {
  return nb::cast(GeneratorObject{generator}).release().ptr();
}

void bind_random(nb::module_& m) {
  auto cls = nb::class_<GeneratorObject>(m, "Generator");
  cls.def(
         "__init__",
         [](GeneratorObject* self, nb::handle device) {
           if (!device.is_none()) {
             check_available(to_device(device.ptr()));
           }
           new (self) GeneratorObject{std::make_shared<Generator>()};
         },
         nb::arg("device").none() = nb::none())
      .def(
          "manual_seed",
          [](nb::object self, nb::handle seed) {
            auto& g = *nb::inst_ptr<GeneratorObject>(self)->generator;
            std::lock_guard lock(g.mutex);
            g.manual_seed(seed_of(seed));
            return self;
          })
      .def(
          "seed",
          [](GeneratorObject& g) {
            std::lock_guard lock(g.generator->mutex);
            return g.generator->seed();
          })
      .def(
          "initial_seed",
          [](GeneratorObject& g) { return g.generator->initial_seed(); })
      .def(
          "get_state",
          [](GeneratorObject& g) {
            std::lock_guard lock(g.generator->mutex);
            return state_tensor(g.generator->get_state());
          })
      .def(
          "set_state",
          [](nb::handle self, const Tensor& state) {
            auto& g = nb::cast<GeneratorObject&>(self);
            auto bytes = state_bytes(state);
            std::lock_guard lock(g.generator->mutex);
            g.generator->set_state(bytes);
            return nb::borrow(self);
          })
      .def(
          "clone_state",
          [](GeneratorObject& g) {
            return GeneratorObject{GeneratorHandle(g.generator->clone())};
          })
      .def_prop_ro("device", [](GeneratorObject&) {
        return nb::steal(device_object(Device{}));
      });
  cls.attr("__module__") = "torch";
  // The default generator, not owned.
  m.attr("default_generator") = nb::cast(
      GeneratorObject{
          GeneratorHandle(GeneratorHandle(), &default_generator())});
}

} // namespace flashlight::bind
