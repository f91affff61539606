// What a C++ program includes: tensors, every op, derivatives.
#pragma once

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/generator.h"
#include "flashlight/core/runtime.h"
#include "flashlight/core/tensor.h"
#include "flashlight/ops/backward.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions.h"
