#include "flashlight/kernels/host.h"

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>

#include "flashlight/core/small_graph.h"

namespace flashlight {

namespace {

class HostPrimitive : public mx::Primitive {
 public:
  HostPrimitive(mx::Stream stream, std::string name, HostFn fn, HostVjp vjp)
      : mx::Primitive(stream),
        name_(std::move(name)),
        fn_(std::move(fn)),
        vjp_(std::move(vjp)) {}

  void eval_cpu(
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    std::vector<mx::array> in, out;
    for (const mx::array& a : inputs) {
      encoder.set_input_array(a);
      in.push_back(mx::array::unsafe_weak_copy(a));
    }
    for (mx::array& a : outputs) {
      a.set_data(mx::allocator::malloc(a.nbytes()));
      encoder.set_output_array(a);
      out.push_back(mx::array::unsafe_weak_copy(a));
    }
    encoder.dispatch([fn = fn_,
                      in = std::move(in),
                      out = std::move(out)]() mutable { fn(in, out); });
  }

  void eval_gpu(const std::vector<mx::array>&, std::vector<mx::array>&)
      override {
    throw std::runtime_error(name_ + " runs on the CPU stream");
  }

  std::vector<mx::array> vjp(
      const std::vector<mx::array>& primals,
      const std::vector<mx::array>& cotangents,
      const std::vector<int>& argnums,
      const std::vector<mx::array>& outputs) override {
    if (!vjp_) {
      return mx::Primitive::vjp(primals, cotangents, argnums, outputs);
    }
    std::vector<mx::array> all = vjp_(primals, cotangents, outputs), wanted;
    for (int i : argnums) {
      wanted.push_back(all.at(static_cast<size_t>(i)));
    }
    return wanted;
  }

  const char* name() const override {
    return name_.c_str();
  }

 private:
  std::string name_;
  HostFn fn_;
  HostVjp vjp_;
};

} // namespace

bool use_host() {
  return kernels_enabled();
}

std::vector<mx::array> host_op(
    std::string name,
    const std::vector<mx::array>& inputs,
    const std::vector<HostResult>& results,
    HostFn fn,
    HostVjp vjp /* = nullptr */) {
  mx::Stream stream = mx::default_stream(mx::Device::cpu);
  std::vector<mx::array> rows;
  for (const mx::array& a : inputs) {
    rows.push_back(mx::contiguous(a, /*allow_col_major=*/false, stream));
  }
  std::vector<mx::Shape> shapes;
  std::vector<mx::Dtype> dtypes;
  for (const HostResult& r : results) {
    shapes.push_back(r.shape);
    dtypes.push_back(r.dtype);
  }
  return mx::array::make_arrays(
      std::move(shapes),
      dtypes,
      std::make_shared<HostPrimitive>(
          stream, std::move(name), std::move(fn), std::move(vjp)),
      rows);
}

} // namespace flashlight
