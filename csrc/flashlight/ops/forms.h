// Forms that few rows have: words of Row::forms() beside those of op.h.
#pragma once

#include "flashlight/ops/op.h"

namespace flashlight {

struct RareForms {
  // "inplace_function": torch.name_ where there is no torch.name.
  bool inplace_function = false;
  // "copy", of a view row: there is name_copy too, not a view, with the same
  // derivative.
  bool copy = false;
  // "fills": every element gets the same value, so that overlapping ones are no
  // conflict.
  bool fills = false;
};

FL_API const RareForms& rare_forms(const Op& op);

} // namespace flashlight
