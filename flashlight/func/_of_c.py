"""``torch._C._functorch``: what libraries ask of tensors inside transforms."""

import contextlib
import enum
import sys
import types

from flashlight import _C

__all__: list = []


class TransformType(enum.Enum):
    """What a level of the stack of transforms does."""

    Torch = 0
    Vmap = 1
    Grad = 2
    Jvp = 3
    Functionalize = 4


def _level(tensor):
    wrapped = _C._wrapped(tensor)
    return wrapped[0] if wrapped is not None else None


def is_functorch_wrapped_tensor(tensor):
    """Whether the tensor stands for another one inside a transform."""
    return _level(tensor) is not None


def is_batchedtensor(tensor):
    """Whether it stands for the entries of a batch."""
    level = _level(tensor)
    return level is not None and level.is_batch


def is_gradtrackingtensor(tensor):
    """Whether it belongs to ``grad``, ``vjp`` or ``jvp``."""
    level = _level(tensor)
    return level is not None and not level.is_batch


def is_dead_tensor_wrapper(tensor):
    """Whether the gradient transform that it belongs to has ended."""
    return is_gradtrackingtensor(tensor) and not _level(tensor).alive


def unwrap_if_dead(tensor):
    """What it stands for, if the transform has ended."""
    return _C._wrapped(tensor)[1] if is_dead_tensor_wrapper(tensor) else tensor


def get_unwrapped(tensor):
    """What it stands for, one level down."""
    wrapped = _C._wrapped(tensor)
    if wrapped is None:
        raise RuntimeError("No wrappers present!")
    return wrapped[1]


def maybe_get_bdim(tensor):
    """The batch's dimension in what it stands for, or -1."""
    return _C._wrapped(tensor)[2] if is_batchedtensor(tensor) else -1


def maybe_get_level(tensor):
    """The level that it belongs to; -1 if to none, -2 if that has ended."""
    level = _level(tensor)
    if level is None:
        return -1
    return level.depth if level.alive else -2


def dlevel(tensor):
    """The gradient level that it belongs to; 0 if to none, -1 if that has ended."""
    if not is_gradtrackingtensor(tensor):
        return 0
    level = _level(tensor)
    return level.depth if level.alive else -1


def maybe_current_level():
    """How deep the transform that runs is nested, or ``None``."""
    top = _C._top_level()
    return None if top is None else top.depth


def get_dynamic_layer_stack_depth():
    """How many transforms run."""
    return maybe_current_level() or 0


def reshape_dim_into(src, dst, x):
    """Merge dimension ``src`` into ``dst``, which counts without it."""
    src, dst = src % x.dim(), dst % (x.dim() - 1)
    sizes = list(x.shape)
    size = sizes.pop(src)
    sizes[dst] *= size
    return x.movedim(src, dst).reshape(sizes)


def reshape_dim_outof(src, size1, x):
    """Split dimension ``src``, whose first part has size ``size1``."""
    src = src % x.dim()
    rest, left = divmod(x.size(src), size1)
    if left:
        raise RuntimeError(
            f"dimension {src} of size {x.size(src)} does not split into parts of "
            f"{size1}"
        )
    return x.reshape((*x.shape[:src], size1, rest, *x.shape[src + 1 :]))


class _DisableFuncTorch:
    """``with`` this, what runs is outside of all transforms."""

    def __enter__(self):
        self._below = contextlib.ExitStack()
        while (top := _C._top_level()) is not None:
            self._below.enter_context(_C._Below(top))

    def __exit__(self, *error):
        self._below.close()


def _fill():
    space = types.ModuleType("flashlight._C._functorch", __doc__)
    for name, value in list(globals().items()):
        if getattr(value, "__module__", None) == __name__ and name[0] != "_":
            setattr(space, name, value)
    for name in (
        "_is_vmap_fallback_enabled",
        "_set_vmap_fallback_enabled",
        "_set_vmap_fallback_warning_enabled",
    ):
        setattr(space, name, getattr(_C, name))
    _C._functorch = space
    _C._DisableFuncTorch = _DisableFuncTorch
    sys.modules[space.__name__] = space


_fill()
