// flashlight._C
#include "flashlight/bind/py_tensor.h"
#include "flashlight/core/runtime.h"
#include "flashlight/kernels/blas.h"
#include "flashlight/ops/registry.h"

namespace flashlight::bind {

namespace {

void translate(const std::exception_ptr& e, void*) {
  try {
    std::rethrow_exception(e);
  } catch (const Error&) {
    set_python_error();
  }
}

} // namespace

NB_MODULE(_C, m) {
  nb::register_exception_translator(translate);
  // Dtypes and the like, which are there once, outlive the interpreter's
  // clean-up.
  nb::set_leak_warnings(false);
  bind_types(m);
  bind_tensor(m);
  bind_torch_function(m);
  bind_autograd(m);
  bind_transforms(m);
  bind_storage(m);
  bind_random(m);
  bind_ops(m);
  bind_dispatch_mode(m);
  bind_arrays(m);
  bind_memory(m);
  bind_autocast(m);
  bind_profiler(m);
  m.def("_set_blas_threads", set_blas_threads);
  m.attr("has_lapack") = true; // MLX brings it
  for (const char* name : {"has_mkl", "has_mkldnn", "has_openmp", "has_cuda"}) {
    m.attr(name) = false;
  }
  m.def("_set_leak_warnings", nb::set_leak_warnings);
  m.def("_before_fork", before_fork);
  m.def("_after_fork", after_fork);
}

} // namespace flashlight::bind
