"""Tensors without data of their own, which a ``__torch_dispatch__`` answers for."""

import copy
import copyreg

from flashlight import _C

__all__ = ["ask", "deepcopy", "make", "reduce"]


def _contiguous(size):
    strides, step = [], 1
    for n in reversed(size):
        strides.append(step)
        step *= max(n, 1)
    return strides[::-1]


def _refuse(what):
    raise NotImplementedError(f"_make_wrapper_subclass(): {what} is not supported")


_POLICIES = {None: 0, "strides": 1, "sizes": 2}


def make(
    cls,
    size,
    strides=None,
    storage_offset=None,
    memory_format=None,
    dtype=None,
    layout=_C.strided,
    device=None,
    pin_memory=False,
    requires_grad=False,
    dispatch_sizes_strides_policy=None,
    dispatch_device=False,
    dispatch_layout=False,
    _extra_dispatch_keys=None,
    storage_size=None,
):
    """A tensor of a class with ``__torch_dispatch__`` that has no data of its own.

    Args:
        cls: A subclass of Tensor that defines ``__torch_dispatch__``.
        size, strides, storage_offset: What it shows; strides of a contiguous tensor
            by default.
        dtype, device: The default dtype and the CPU if absent.
        requires_grad: Whether gradients are computed for it.
        dispatch_sizes_strides_policy: ``"strides"`` or ``"sizes"``: the class is asked
            what they are. It may say what they are given as here, or None.

    Raises:
        TypeError: ``cls`` is no such class.
        NotImplementedError: What is asked for besides (a layout, dispatch keys) is not
            supported.
    """
    if not _C._class_dispatches(cls):
        raise TypeError(f"{cls.__name__} must define __torch_dispatch__")
    if layout is not _C.strided:
        _refuse(f"layout={layout}")
    if dispatch_sizes_strides_policy is not None:
        policy = dispatch_sizes_strides_policy
        if policy not in _POLICIES:
            raise ValueError(
                f"Unknown sizes_strides_policy: {policy}; expected 'strides' or 'sizes'"
            )
    for name, value in (
        ("dispatch_device", dispatch_device),
        ("dispatch_layout", dispatch_layout),
        ("_extra_dispatch_keys", _extra_dispatch_keys),
        ("pin_memory", pin_memory),
    ):
        if value:
            _refuse(f"{name}={value}")
    size = [int(n) for n in size]
    if memory_format is not None:
        if strides is not None:
            raise RuntimeError("only one of strides and memory_format may be given")
        if memory_format is not _C.contiguous_format:
            _refuse(f"memory_format={memory_format}")
    if strides is None:
        strides = _contiguous(size)
    if len(strides) != len(size):
        raise RuntimeError(
            f"dimensionality of sizes ({len(size)}) must match dimensionality of "
            f"strides ({len(strides)})"
        )
    out = _C._make_wrapper(
        cls,
        size,
        [int(n) for n in strides],
        int(storage_offset or 0),
        _C.get_default_dtype() if dtype is None else dtype,
        "cpu" if device is None else device,
        _POLICIES[dispatch_sizes_strides_policy],
    )
    if requires_grad:
        _C._require_grad(out)
    return out


def ask(tensor, name, is_, *option):
    """Ask the class of a tensor for a property that is ``is_``.

    Raises:
        NotImplementedError: It says something else, which the engine cannot follow.
    """
    from flashlight._aten import aten
    from flashlight.utils._python_dispatch import dispatch

    packet = getattr(aten, name)
    func = packet.memory_format if option else packet.default
    said = dispatch(func, (tensor, *option), {}, (tensor,), f"torch.ops.aten.{name}")
    if said is None and name == "dim":
        raise RuntimeError("dim returned invalid type NoneType, expected int")
    if said is not None and is_ != (tuple(said) if name in _LISTS else said):
        raise NotImplementedError(
            f"__torch_dispatch__ of {type(tensor).__name__} says that {name} is {said}"
            f", but it was made with {is_}: other sizes and strides are not supported"
        )


_LISTS = ("sym_size", "sym_stride")


def _slots(tensor):
    names = copyreg._slotnames(type(tensor))
    return {n: getattr(tensor, n) for n in names if hasattr(tensor, n)}


def deepcopy(tensor, memo):
    """A deep copy of a wrapper: its clone, with copies of its attributes."""
    import flashlight

    with flashlight.no_grad():
        out = tensor.clone()
        if type(out) is not type(tensor):
            raise RuntimeError(
                "The default implementation of __deepcopy__() for wrapper subclasses "
                "only works for subclass types that implement clone() and for which "
                "cloning returns another instance of the same subclass. You should "
                "either properly implement clone() for your subclass or override "
                "__deepcopy__() if it is intended behavior for clone() to return an "
                "instance of a different type."
            )
        if tensor.requires_grad:
            out.requires_grad_()
        if tensor.grad is not None:
            out.grad = copy.deepcopy(tensor.grad, memo)
        for name, value in _slots(tensor).items():
            setattr(out, name, copy.deepcopy(value, memo))
        out.__dict__ = copy.deepcopy(tensor.__dict__, memo)
    memo[id(tensor)] = out
    return out


def reduce(tensor, state):
    """How a wrapper is pickled: what it shows, and its attributes."""
    from flashlight import _utils
    from flashlight._tensor import _rebuild_from_type_v2

    shown = (
        type(tensor),
        tensor.dtype,
        tuple(tensor.size()),
        tensor.stride(),
        tensor.storage_offset(),
        tensor.layout,
        tensor.device,
        tensor.requires_grad,
    )
    slots = _slots(tensor)
    rebuild = _utils._rebuild_wrapper_subclass
    whole = (state, slots) if slots else state
    return (_rebuild_from_type_v2, (rebuild, type(tensor), shown, whole))
