"""Custom Functions inside function transforms."""

from flashlight import _C
from flashlight.autograd import grad_mode
from flashlight.autograd.function import Function
from flashlight.func._levels import batch_level, is_tensor
from flashlight.utils._pytree import (
    _broadcast_to_and_flatten,
    tree_flatten,
    tree_unflatten,
)

__all__ = ["apply_batched", "lowered"]


def lowered(level, cls):
    """``cls`` with a ``forward`` that applies ``cls`` one level down."""

    def forward(*args):
        inner = [_C._unwrap_at(level, a) if is_tensor(a) else a for a in args]
        # What forward does is not recorded here, but below it may be.
        with grad_mode.enable_grad(), _C._Below(level):
            outputs = cls.apply(*inner)
        # An input that comes back (changed in place) is the same tensor here too.
        same = {id(i): a for i, a in zip(inner, args) if is_tensor(a)}

        def wrap(y):
            if not is_tensor(y):
                return y
            return same.get(id(y)) if id(y) in same else _C._wrap_at(level, y)

        if isinstance(outputs, tuple):
            return tuple(wrap(y) for y in outputs)
        return wrap(outputs)

    name = f"{cls.__name__}Generated"
    return type(name, (cls,), {"forward": staticmethod(forward)})


class VmapInfo:
    """What ``vmap`` of a Function is told of the batch."""

    def __init__(self, batch_size, randomness):
        self.batch_size = batch_size
        self.randomness = randomness

    def __repr__(self):
        return f"VmapInfo(batch_size={self.batch_size}, randomness={self.randomness!r})"


def _taken(level, args):
    """What tensors in a tree stand for, and their batch dimensions (None: none)."""
    leaves, spec = tree_flatten(args)
    inner, dims = list(leaves), [None] * len(leaves)
    for i, a in enumerate(leaves):
        wrapped = _C._wrapped(a) if is_tensor(a) else None
        if wrapped is not None and wrapped[0] is level:
            inner[i], dims[i] = wrapped[1:]
    return tree_unflatten(inner, spec), tree_unflatten(dims, spec), dims


def apply_batched(level, cls, args):
    """``apply`` at a Batch level."""
    inner, dims, flat_dims = _taken(level, args)
    if all(d is None for d in flat_dims):
        with _C._Below(level):
            return cls.apply(*args)
    own = cls.vmap is not Function.vmap
    if cls.generate_vmap_rule and own:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it has both "
            "generate_vmap_rule=True and an overridden vmap staticmethod. Please set "
            "generate_vmap_rule=False or delete the overridden vmap staticmethod to "
            "avoid ambiguity. For more details, please see "
            "https://pytorch.org/docs/main/notes/extending.func.html"
        )
    if not (cls.generate_vmap_rule or own):
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap "
            "support. Please override and implement the vmap staticmethod or set "
            "generate_vmap_rule=True. For more details, please see "
            "https://pytorch.org/docs/main/notes/extending.func.html"
        )
    size, randomness = level.batch_size, level.randomness
    with _C._Below(level):
        if own:
            result = cls.vmap(VmapInfo(size, randomness), dims, *inner)
            outputs, out_dims = _two(result)
        else:
            outputs = _over_batch(cls, dims, size, randomness).apply(*inner)
            out_dims = 0
    leaves, spec = tree_flatten(outputs)
    to = _broadcast_to_and_flatten(out_dims, spec)
    if to is None:
        raise RuntimeError(
            "The autograd.Function's vmap staticmethod returned an incompatible "
            f"(output, out_dims) tuple. Expected out_dims={out_dims} to be compatible "
            "with the structure of `output`. out_dims has structure "
            f"{tree_flatten(out_dims)[1]} but output has structure {spec}. For more "
            "details, please see "
            "https://pytorch.org/docs/main/notes/extending.func.html"
        )
    return tree_unflatten([_put(level, y, d) for y, d in zip(leaves, to)], spec)


def _two(result):
    if isinstance(result, tuple) and len(result) == 2:
        return result
    what = (
        f"{len(result)} returns" if isinstance(result, tuple) else f"a {type(result)}"
    )
    raise RuntimeError(
        "Expected the vmap staticmethod to have two returns, an output and out_dims "
        f"with pytree structure compatible with the output. Got {what} instead"
    )


def _put(level, y, dim):
    return _C._add_batch_dim(level, y, dim) if is_tensor(y) and dim is not None else y


class _Recorder:
    """The ctx that ``setup_context`` and ``backward`` see of each entry."""

    def __init__(self):
        self._saved = ()
        self._fixed = ()

    def save_for_backward(self, *tensors):
        self._saved = tensors

    def save_for_forward(self, *tensors):
        self._saved_forward = tensors

    def mark_non_differentiable(self, *tensors):
        self._fixed = tensors

    def mark_dirty(self, *tensors):
        raise RuntimeError(
            "NYI: vmap over an autograd.Function that marks inputs dirty"
        )

    def set_materialize_grads(self, value):
        self.materialize_grads = value

    @property
    def saved_tensors(self):
        return self._saved


def _over_batch(cls, dims, size, randomness):
    """A Function of the whole batch, whose parts are those of ``cls`` under vmap."""

    def enter(level, tensors, at):
        return [_put(level, x, d) for x, d in zip(tensors, at)]

    class OverBatch(Function):
        @staticmethod
        def forward(*args):
            with batch_level(size, randomness) as level:
                outputs = cls.forward(*enter(level, args, dims))
                if isinstance(outputs, tuple):
                    return tuple(_whole(level, y) for y in outputs)
                return _whole(level, outputs)

        @staticmethod
        def setup_context(ctx, inputs, output):
            outputs = output if isinstance(output, tuple) else (output,)
            entry = _Recorder()
            with batch_level(size, randomness) as level:
                ins = tuple(enter(level, inputs, dims))
                outs = tuple(enter(level, outputs, (0,) * len(outputs)))
                cls.setup_context(
                    entry, ins, outs if isinstance(output, tuple) else outs[0]
                )
                saved, ctx._dims, _ = _taken(level, entry._saved)
                fixed = [
                    y
                    for y, o in zip(outputs, outs)
                    if any(o is f for f in entry._fixed)
                ]
            ctx.save_for_backward(*saved)
            ctx.mark_non_differentiable(*fixed)
            entry._saved = entry._fixed = ()
            ctx._entry = entry
            ctx._shapes = [x.dim() if is_tensor(x) else None for x in inputs]

        @staticmethod
        def backward(ctx, *grads):
            entry = _Recorder()
            entry.__dict__.update(ctx._entry.__dict__)
            entry.needs_input_grad = ctx.needs_input_grad
            saved = ctx.saved_tensors
            with batch_level(size, randomness) as level:
                entry._saved = tuple(enter(level, saved, ctx._dims))
                found = cls.backward(entry, *enter(level, grads, (0,) * len(grads)))
                found = found if isinstance(found, tuple) else (found,)
                out = []
                for g, d in zip(found, dims):
                    if not is_tensor(g):
                        out.append(g)
                    elif d is None:  # shared by all entries
                        out.append(_whole(level, g).sum(0))
                    else:
                        out.append(_C._remove_batch_dim(level, g, d))
            return tuple(out)

    OverBatch.__name__ = f"Vmapped{cls.__name__}"
    return OverBatch


def _whole(level, y):
    return _C._remove_batch_dim(level, y, 0) if is_tensor(y) else y
