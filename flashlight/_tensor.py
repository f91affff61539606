"""PyTorch's import path of `Tensor`, and what pickled subclasses of it call."""

from flashlight._utils import _set_obj_state
from flashlight.tensor import Tensor


def _rebuild_from_type_v2(func, new_type, args, state):
    out = func(*args)
    if type(out) is not new_type:
        requires_grad = out.requires_grad
        out = out.as_subclass(new_type)
        out.requires_grad = requires_grad
    # A class may have its own way to take state; Tensor's is for old files.
    own = getattr(type(out), "__setstate__", None)
    if own is not None and own is not Tensor.__setstate__:
        out.__setstate__(state)
        return out
    return _set_obj_state(out, state)
