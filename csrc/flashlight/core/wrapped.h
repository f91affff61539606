// Function transforms (grad, vjp, jvp, vmap), one inside another.
//
// Note [Levels]
// A transform that runs is a level of the calling thread's stack. Inside it a
// tensor stands for another one of the level below:
//
//   Autograd  the same values, with a history (or a tangent) of this level only
//   Batch     one of the entries of `inner` along `batch_dim`, whichever
//
// An op meets the levels at the door (ops/call.cpp), from the top down.
// Autograd is recorded as ever, and then the kernel is the door again, one
// level down, on what the operands stand for; a Batch level has no history of
// its own and calls the op of all entries at once (ops/batching.cpp). So levels
// nest in any order, and no op and no derivative knows of them.
//
// A tensor of a level shows the sizes, strides and offset of what it stands for
// (without the batch dimension) and shares its storage, so views of it are made
// as ever. Its value can be read where it is one value; in a Batch level it is
// not, and reading it raises.
#pragma once

#include <memory>

#include "flashlight/core/error.h"
#include "flashlight/core/tensor.h"

namespace flashlight {

enum class LevelKind : uint8_t { Autograd, Batch };
// What random ops of a Batch level do.
enum class Randomness : uint8_t { Error, Same, Different };

struct Level {
  LevelKind kind;
  std::shared_ptr<Level> below;
  int64_t depth = 1;
  bool alive = true;
  // Autograd: the modes of the level below.
  bool grad_mode = true;
  bool forward_mode = true;
  bool inference_mode = false; // which is off inside
  // Batch
  int64_t batch_size = 0;
  Randomness randomness = Randomness::Error;
};
using LevelHandle = std::shared_ptr<Level>;

// The value of a tensor of a Batch level was asked for, which is not one value.
// A composite that does so is called for each entry instead.
class FL_API NotOneValue : public Error {
 public:
  using Error::Error;
  ~NotOneValue() override;
};

struct Wrapped {
  LevelHandle level;
  Tensor inner;
  int64_t batch_dim = -1; // of inner
};

// Raises if the tensor is of a level: what it stands for, not it, has a
// storage.
FL_API void check_outside_transforms(const Tensor& tensor);

} // namespace flashlight
