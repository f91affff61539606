#include "flashlight/ops/write_checks.h"

#include "flashlight/core/runtime.h"
#include "flashlight/ops/call_parts.h"

namespace flashlight {

void check_sizes(const Tensor& result, const Tensor& self) {
  FL_CHECK(
      result.sizes() == self.sizes(),
      "output with shape ",
      self.sizes(),
      " doesn't match the broadcast shape ",
      result.sizes());
}

void check_result_cast(const Tensor& result, const Tensor& to) {
  FL_CHECK(
      can_cast(result.dtype(), to.dtype()),
      "result type ",
      scalar_name(result.dtype()),
      " can't be cast to the desired output type ",
      scalar_name(to.dtype()));
}

void check_writable(const Tensor& t) {
  FL_CHECK(
      t.numel() == 0 || !has_internal_overlap(t.geometry()),
      "unsupported operation: more than one element of the written-to tensor "
      "refers to a single memory location. Please clone() the tensor before "
      "performing the operation.");
}

bool on_copy(const Op& op, const Tensor& self) {
  return has_bits(self) && op.schema.name != "copy";
}

namespace {

// Do two tensors share some elements, and (unless `wholly_too`) not all of them
// in the same order?
// As PyTorch: only dense ones are looked at.
bool overlaps_partly(const Tensor& a, const Tensor& b, bool wholly_too) {
  if (a->storage.get() != b->storage.get() ||
      (a.geometry() == b.geometry() && !wholly_too) || a.numel() == 0 ||
      b.numel() == 0 || !is_dense(a.sizes(), a.strides()) ||
      !is_dense(b.sizes(), b.strides())) {
    return false;
  }
  auto begin = [](const Tensor& t) {
    return t.storage_offset() * itemsize(t.dtype());
  };
  auto end = [&](const Tensor& t) {
    return begin(t) + t.numel() * itemsize(t.dtype());
  };
  if (begin(a) == begin(b) && end(a) == end(b)) {
    return wholly_too || a.strides() != b.strides();
  }
  return begin(a) < end(b) && begin(b) < end(a);
}

} // namespace

void check_overlap(const Op& op, const Value* args, const Tensor& to) {
  const std::string& name = op.schema.name;
  if (name == "index_put" || name == "_index_put" || name == "masked_fill" ||
      name == "index_fill") {
    if (has_internal_overlap(to.geometry())) {
      bool mask = name == "masked_fill";
      warn(
          detail::concat(
              "Use of ",
              name == "_index_put" ? "index_put" : name,
              "_ on expanded tensors is deprecated. Please clone() the tensor "
              "before performing this operation. This also applies to advanced "
              "indexing e.g. ",
              mask ? "tensor[mask] = scalar" : "tensor[indices] = tensor"));
    }
    if (name == "_index_put" && !args[4].as<bool>()) {
      for (size_t i : {1, 2}) {
        for_tensors(args[i], [&](const Tensor& t) {
          FL_CHECK(
              has_bits(t) || (!t.is_same(to) &&
                              !overlaps_partly(to, t, /*wholly_too=*/true)),
              "unsupported operation: some elements of the input tensor and "
              "the written-to tensor refer to a single memory location. Please "
              "clone() the tensor before performing the operation.");
        });
      }
    }
    return;
  }
  if (name == "copy") {
    const Tensor* from = args[1].tensor();
    if (from && (*from)->storage.get() == to->storage.get() &&
        from->geometry() == to.geometry()) {
      return; // itself
    }
  }
  if (has_internal_overlap(to.geometry()) && !op.fills) {
    check_writable(to);
  }
  if ((!op.elementwise && !op.out_apart) || has_bits(to)) {
    return;
  }
  for (size_t i = 0; i < op.schema.args.size(); ++i) {
    for_tensors(args[i], [&](const Tensor& t) {
      if (has_bits(t) && !t.is_same(to)) {
        return;
      }
      FL_CHECK(
          t.is_same(to) ? !op.out_apart : !overlaps_partly(to, t, op.out_apart),
          "unsupported operation: some elements of the input tensor and the "
          "written-to tensor refer to a single memory location. Please clone() "
          "the tensor before performing the operation.");
    });
  }
}

} // namespace flashlight
