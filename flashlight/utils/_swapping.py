"""``swap_tensors``: two tensors change places under their names."""

import copyreg
import weakref

from flashlight import _C, autograd

_HELD = (
    "Expected use_count of {} to be 1 or 2 with an AccumulateGrad node but got {} make "
    "sure you are not holding references to the tensor in other places."
)


def _poisoned(grad_outputs):
    raise RuntimeError(
        "Trying to execute AccumulateGrad node that was poisoned by swap_tensors this "
        "can happen when you try to run backward on a tensor that was swapped. For a "
        "module m with `torch.__future__.set_swap_module_params_on_conversion(True)` "
        "you should not change the device or dtype of the module (e.g. `m.cpu()` or "
        "`m.half()`) between running forward and backward. To resolve this, please "
        "only change the device/dtype before running forward (or after both forward "
        "and backward)."
    )


def _check_held(t, name):
    """Raise if anything but its object, or a gradient's accumulator, holds a tensor."""
    count = _C._use_count(t)
    if count <= 1:
        return
    if count == 2 and t.is_leaf:
        node = autograd.graph.get_gradient_edge(t).node
        if _C._use_count(t) == 2:  # the accumulator was there before
            node.register_prehook(_poisoned)
            return
    raise RuntimeError(_HELD.format(name, count))


def swap_tensors(t1, t2):
    """Exchange two tensors: each name then means what the other one did.

    Args:
        t1: A tensor, or an object of a subclass.
        t2: Another one.

    Raises:
        RuntimeError: Something else holds one of them: a weak reference, a view, or a
            graph that has saved it.

    Example::

        >>> a, b = torch.zeros(1), torch.ones(2)
        >>> torch.utils.swap_tensors(a, b)
        >>> a, b
        (tensor([1., 1.]), tensor([0.]))
    """
    for t, name in ((t1, "t1"), (t2, "t2")):
        if weakref.getweakrefs(t):
            raise RuntimeError(
                f"Cannot swap {name} because it has weakref associated with it"
            )
    slots = set(copyreg._slotnames(type(t1)))
    if slots != set(copyreg._slotnames(type(t2))):
        raise RuntimeError("Cannot swap t1 and t2 if they have different slots")
    for t, name in ((t1, "t1"), (t2, "t2")):
        _check_held(t, name)
    for attribute in ("__class__", "__dict__", *slots):
        ours, theirs = (getattr(t, attribute, _absent) for t in (t1, t2))
        for t, value in ((t1, theirs), (t2, ours)):
            if value is not _absent:
                setattr(t, attribute, value)
            elif hasattr(t, attribute):
                delattr(t, attribute)
    _C._swap_tensor_impl(t1, t2)


_absent = object()
