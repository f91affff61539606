"""Which results a checkpointed function keeps, and which are computed again.

One dispatch mode watches the forward and keeps what the policy says, each result under
its op and the how-manieth call of that op it was; another stands in for these calls
while the function runs again. Both see ops below autograd, so the tape of the second
run is that of the first.
"""

import collections
import enum

from flashlight import _C, ops
from flashlight._aten import OpOverload, OpOverloadPacket
from flashlight.utils._python_dispatch import TorchDispatchMode
from flashlight.utils._pytree import tree_map

# What checkpointing itself does between the ops of the function.
SAC_IGNORED_OPS = {ops.aten.detach.default}

_AGAIN, _TAKEN = object(), object()

_MISMATCH = (
    "This can happen if the operations in the checkpointed region are "
    "nondeterministic or depend on global state that changed between "
    "forward and backward."
)


class CheckpointPolicy(enum.Enum):
    """What becomes of an op's result between forward and backward.

    ``MUST_`` and ``PREFER_`` are the same here: nothing overrides a policy.

    Source: :mod:`torch.utils.checkpoint`.
    """

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


_SAVE = {CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_SAVE}


class SelectiveCheckpointContext:
    """What a policy function is told of a call: ``op_output`` is its result.

    Source: :mod:`torch.utils.checkpoint`.
    """

    def __init__(self, *, is_recompute, op_output=None):
        self.is_recompute = is_recompute
        self.op_output = op_output


class _Kept:
    """A result, without history, and the version that it had."""

    def __init__(self, value):
        self.tensor = isinstance(value, _C.TensorBase)
        self.value = value.detach() if self.tensor else value
        self.version = value._version if self.tensor else None

    def take(self, may_be_changed):
        if self.tensor and not may_be_changed and self.value._version != self.version:
            raise RuntimeError(
                "Tensor cached during selective activation checkpoint has been mutated"
            )
        return self.value


class _Mode(TorchDispatchMode):
    """Numbers the calls of each op."""

    def __init__(self, results):
        super().__init__()
        self.results = results  # op -> [entry of its first call, ...]
        self.calls = collections.Counter()

    def __enter__(self):
        self.calls.clear()
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in SAC_IGNORED_OPS:
            return func(*args, **(kwargs or {}))
        self.calls[func] += 1
        return self.run(func, self.calls[func] - 1, args, kwargs or {})


class _Forward(_Mode):
    def __init__(self, policy, results):
        super().__init__(results)
        self.policy = policy

    def run(self, func, place, args, kwargs):
        result = func(*args, **kwargs)
        context = SelectiveCheckpointContext(is_recompute=False, op_output=result)
        policy = self.policy(context, func, *args, **kwargs)
        entry = tree_map(_Kept, result) if policy is True or policy in _SAVE else _AGAIN
        del self.results[func][place:]  # of a forward before this one
        self.results[func].append(entry)
        return result


class _Recomputation(_Mode):
    def __init__(self, results, may_be_changed):
        super().__init__(results)
        self.may_be_changed = may_be_changed

    def run(self, func, place, args, kwargs):
        if func not in self.results:
            raise RuntimeError(
                f"{func} encountered during backward but not found in storage. "
                f"{_MISMATCH}"
            )
        entries = self.results[func]
        if place >= len(entries):
            raise RuntimeError(
                f"{func} invocation index {place} encountered during backward but not "
                f"found in storage. {_MISMATCH}"
            )
        entry = entries[place]
        if entry is _TAKEN:
            raise RuntimeError(
                "Trying to backward an extra time. You are only allowed to backward "
                "once on any region computed under selective activation checkpoint."
            )
        if entry is _AGAIN:
            return func(*args, **kwargs)
        entries[place] = _TAKEN
        return tree_map(lambda kept: kept.take(self.may_be_changed), entry)


def _policy_of(saved):
    for op in saved:
        if not isinstance(op, OpOverload):
            more = (
                "Please update the OpOverloadPacket to a specific OpOverload."
                "For example, if you have `torch.ops.aten.mm`, change it to "
                "`torch.ops.aten.mm.default`."
                if isinstance(op, OpOverloadPacket)
                else ""
            )
            raise ValueError(
                f"Expected op in `op_list` to be an OpOverload but got: {op} "
                f"of type {type(op)}. {more}"
            )
    return lambda context, op, *args, **kwargs: op in saved


def create_selective_checkpoint_contexts(
    policy_fn_or_list, allow_cache_entry_mutation=False
):
    """Two contexts, for ``context_fn`` of :func:`checkpoint`: some results are kept.

    Args:
        policy_fn_or_list: A list of overloads whose results are kept, or a function of
            (:class:`SelectiveCheckpointContext`, overload, arguments...) that gives a
            :class:`CheckpointPolicy`. On the CPU a result that is to be offloaded is
            computed again.
        allow_cache_entry_mutation: Do not raise where a kept result was written to.

    Raises:
        ValueError, TypeError: At once, of what is neither.
        RuntimeError: In backward, where the function does something else, or runs again
            a second time.

    Source: :mod:`torch.utils.checkpoint`.

    Example:
        >>> import functools
        >>> import flashlight as torch
        >>> from flashlight.utils.checkpoint import (
        ...     checkpoint, create_selective_checkpoint_contexts)
        >>> keep = [torch.ops.aten.mm.default]
        >>> contexts = functools.partial(create_selective_checkpoint_contexts, keep)
        >>> w = torch.ones(2, 2, requires_grad=True)
        >>> out = checkpoint(
        ...     lambda w: (w @ w).exp(), w, use_reentrant=False, context_fn=contexts)
        >>> out.sum().backward()
        >>> w.grad
        tensor([[29.5562, 29.5562],
                [29.5562, 29.5562]])
    """
    if isinstance(policy_fn_or_list, list):
        policy = _policy_of(policy_fn_or_list)
    elif callable(policy_fn_or_list):
        policy = policy_fn_or_list
    else:
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    results = collections.defaultdict(list)
    return _Forward(policy, results), _Recomputation(
        results, allow_cache_entry_mutation
    )
