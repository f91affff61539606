#include "flashlight/ops/profiled.h"

#include <algorithm>

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/pending.h"
#include "flashlight/core/runtime.h"
#include "flashlight/ops/call_parts.h"

namespace flashlight {

namespace {

// The kernel of linear is PyTorch's addmm, or mm: so are its node's name and,
// here, its event, with the operands that these have.
bool is_linear(const Op& op) {
  return op.schema.name == "_linear";
}

bool has_bias(const Value* args) {
  return args[2].tensor() != nullptr;
}

std::vector<RecordedInput> inputs_of_linear(const Value* args) {
  RecordedInput input = recorded_input(args[0]);
  RecordedInput weight = recorded_input(args[1]);
  RecordedInput::Shape& w = weight.tensors[0];
  std::reverse(w.sizes.begin(), w.sizes.end());
  std::reverse(w.strides.begin(), w.strides.end());
  if (!has_bias(args)) {
    return {input, weight};
  }
  RecordedInput one;
  one.value = Scalar(int64_t{1}); // beta, alpha
  return {recorded_input(args[2]), input, weight, one, one};
}

std::string event_name(const Op& op, OpForm form, const Value* args) {
  if (is_linear(op)) {
    return has_bias(args) ? "aten::addmm" : "aten::mm";
  }
  std::string name = "aten::" + op.schema.name;
  return form == OpForm::Inplace ? name + "_" : name;
}

// The number of the node that the call will make, if it makes one: of each op
// that autograd sees, and not of those that a kernel calls.
int64_t next_sequence(const Profile& profile) {
  const ProfileEvent* in = profile.innermost();
  bool below = in && in->kernel;
  return recording() && !below ? static_cast<int64_t>(peek_sequence()) : -1;
}

uint64_t elements(const IntList& sizes) {
  uint64_t n = 1;
  for (int64_t s : sizes) {
    n *= static_cast<uint64_t>(s);
  }
  return n;
}

// Of a product of matrices (or batches of them).
uint64_t of_product(const Tensor& a, const Tensor& b) {
  if (a.dim() < 2 || b.dim() < 2) {
    return 0;
  }
  return 2 * elements(a.sizes()) * static_cast<uint64_t>(b.size(-1));
}

// Of a convolution that gives `out`: each of its elements is a sum over a
// weight's window.
uint64_t of_conv2d(const Call& c) {
  const Tensor &input = *c.args[0].tensor(), &weight = *c.args[1].tensor();
  const auto* stride = c.args[3].get_if<IntList>();
  const auto* padding = c.args[4].get_if<IntList>();
  const auto* dilation = c.args[5].get_if<IntList>();
  if (input.dim() != 4 || weight.dim() != 4 || !stride || !padding ||
      !dilation) {
    return 0;
  }
  uint64_t n = 2 * static_cast<uint64_t>(input.size(0)) *
               elements(weight.sizes()); // of one place
  for (size_t i = 0; i < 2; ++i) {
    auto of = [&](const IntList& list) {
      return list.size() == 1 ? list[0] : list[i];
    };
    int64_t window =
        of(*dilation) * (weight.size(static_cast<int64_t>(i) + 2) - 1) + 1;
    int64_t size = input.size(static_cast<int64_t>(i) + 2);
    int64_t places = (size + 2 * of(*padding) - window) / of(*stride) + 1;
    n *= static_cast<uint64_t>(std::max<int64_t>(places, 0));
  }
  return n;
}

// Inside a transform there is no value of its own; of a trace it must not be
// asked for.
void add_array(const Tensor& t, std::vector<mx::array>& arrays) {
  if (t.defined() && !t->wrapped) {
    arrays.push_back(t->storage->array());
  }
}

} // namespace

uint64_t count_flops(const Op& op, const Value* args) {
  const std::string& name = op.schema.name;
  auto tensor = [&](size_t i) -> const Tensor& { return *args[i].tensor(); };
  if (is_linear(op)) {
    return 2 * elements(tensor(0).sizes()) *
           static_cast<uint64_t>(tensor(1).size(0));
  }
  if (name == "mm" || name == "bmm") {
    return of_product(tensor(0), tensor(1));
  }
  if (name == "addmm" || name == "baddbmm") {
    return of_product(tensor(1), tensor(2));
  }
  if (name == "conv2d") {
    return of_conv2d(Call{op, args});
  }
  if ((name == "mul" || name == "add") && args[0].tensor()) {
    return elements(tensor(0).sizes());
  }
  return 0;
}

OpScope::OpScope(const Op& op, OpForm form, const Value* args)
    : profile_(current_profile()),
      scope_(
          profile_,
          profile_ ? event_name(op, form, args) : std::string(),
          RecordScope::Function,
          profile_ ? next_sequence(*profile_) : -1) {
  if (!profile_) {
    return;
  }
  ProfileEvent& event = *scope_.event();
  event.kernel = !op.composite && !op.target;
  event.overload = op.schema.overload;
  if (profile_->options.shapes && is_linear(op)) {
    event.inputs = inputs_of_linear(args);
  } else if (profile_->options.shapes) {
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
      // PyTorch's functions always say whether memory is pinned.
      bool pinned = op.schema.args[i].name == "pin_memory";
      event.inputs.push_back(
          recorded_input(pinned && args[i].is_none() ? Value(false) : args[i]));
    }
  }
  if (profile_->options.flops && form == OpForm::Functional) {
    event.flops = count_flops(op, args);
  }
}

void OpScope::settle(Results& results) const {
  if (!profile_ || is_tracing()) {
    return;
  }
  std::vector<mx::array> arrays;
  for_results(results, [&](const Tensor& t) { add_array(t, arrays); });
  flashlight::eval(std::move(arrays));
}

void OpScope::settle(const Tensor& result) const {
  if (!profile_ || is_tracing()) {
    return;
  }
  std::vector<mx::array> arrays;
  add_array(result, arrays);
  flashlight::eval(std::move(arrays));
}

} // namespace flashlight
