// Arguments and results of ops as Python objects.
#pragma once

#include "flashlight/bind/py_tensor.h"
#include "flashlight/ops/schema.h"

namespace flashlight::bind {

// A result: lists are tuples.
PyObject* value_object(const Value& value); // new
// An argument as PyTorch's dispatcher hands it on: lists are lists.
PyObject* argument_object(const Value& value); // new
// Is it what the schema has where nothing is given?
bool is_default(const Argument& argument, const Value& value);

} // namespace flashlight::bind
