"""``torch._C._functions`` and ``torch._C._autograd``: nodes and what makes them."""

import types

from flashlight import _C
from flashlight._profiling import fill_autograd
from flashlight.autograd.function import Function
from flashlight.autograd.graph import NodeAttributes, SavedTensor


class _Undefined(Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return None


def _one_or_all(tensors):
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


class UndefinedGrad(NodeAttributes):
    """Called with tensors, gives them back; in backward no gradient comes through."""

    def __call__(self, *tensors):
        return _one_or_all([_Undefined.apply(t) for t in tensors])


class DelayedError(NodeAttributes):
    """Called with tensors, gives them back; backward through them raises.

    Args:
        message: The text of the error.
        num_inputs: How many tensors it is called with.
    """

    def __init__(self, message, num_inputs):
        self.message, self.num_inputs = message, num_inputs

    def __call__(self, *tensors):
        if len(tensors) != self.num_inputs:
            raise RuntimeError(
                f"DelayedError was made for {self.num_inputs} tensors, but got "
                f"{len(tensors)}"
            )
        return _one_or_all(_C._delayed_error(tensors, self.message))


class _Functions(types.ModuleType):
    DelayedError = DelayedError
    UndefinedGrad = UndefinedGrad

    @property
    def AccumulateGrad(self):
        leaf = _C._VariableFunctions.empty(0, requires_grad=True)
        return type(_C._gradient_edge(leaf)[0])


_C._functions = _Functions("_functions")
_C._autograd = types.ModuleType("_autograd")
fill_autograd(_C._autograd)
_C._autograd.SavedTensor = SavedTensor
_C._autograd._get_current_graph_task_keep_graph = _C._current_graph_task_keep_graph
_C._autograd._saved_tensors_hooks_is_enabled = (
    lambda: not _C._saved_tensors_hooks_disabled()
)
