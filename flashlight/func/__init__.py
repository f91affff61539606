"""Function transforms: gradients, Jacobians and batches, nested in any order."""

from flashlight.func import _of_c as _of_c  # fills _C._functorch
from flashlight.func._autograd import (
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
)
from flashlight.func._levels import debug_unwrap
from flashlight.func._modules import (
    functional_call,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from flashlight.func._vmap import vmap

__all__ = [
    "debug_unwrap",
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]
