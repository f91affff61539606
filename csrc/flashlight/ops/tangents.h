// Rows that state their tangents.
//
// Note [Stated tangents]
// Forward mode follows from the gradient (Note [Tangents] in transforms.h), but
// for a few rows whose gradient in PyTorch is not the transpose of their
// tangents: what is written over is counted each time by the one and not at all
// by the other, a matrix has entries that the op does not read, and ties and
// zeros are seen otherwise. These have a rule by name, as batches do.
#pragma once

#include <functional>

#include "flashlight/ops/op.h"

namespace flashlight {

struct TangentRule {
  // What the tangents are of, in the order of the arguments.
  std::vector<std::string> inputs;
  // From these (zeros where there is none) and the results to the results'
  // tangents. Null: the op is linear, and its own.
  std::function<TensorList(
      const TensorList& along,
      const Value* args,
      const Results& results)>
      fn;
};

// Null where the gradient says it all.
const TangentRule* tangent_rule(const Op& op);

} // namespace flashlight
