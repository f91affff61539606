// What a C++ program includes: tensors, every op, derivatives, optimizers.
//
//   using namespace flashlight;
//   Tensor w = tensor<float>({1, 2, 3});
//   set_requires_grad(w, true);
//   backward(sum(w * w));
//   std::vector<float> gradient = to_vector<float>(grad(w)); // 2, 4, 6
#pragma once

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/data.h"
#include "flashlight/core/generator.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/tensor.h"
#include "flashlight/core/turn.h"
#include "flashlight/ops/backward.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions.h"
#include "flashlight/optim/optimizer.h"
