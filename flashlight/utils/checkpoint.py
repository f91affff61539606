"""Checkpointing: values of a forward are computed again in backward, not kept."""

import contextlib
import threading
import traceback
import warnings
import weakref

import flashlight
from flashlight import _C, autograd, nn
from flashlight.autograd.graph import saved_tensors_hooks
from flashlight.utils._op_log import OpLog
from flashlight.utils._selective_checkpoint import (
    SAC_IGNORED_OPS,
    CheckpointPolicy,
    SelectiveCheckpointContext,
    create_selective_checkpoint_contexts,
)

__all__ = [
    "SAC_IGNORED_OPS",
    "CheckpointError",
    "CheckpointFunction",
    "CheckpointPolicy",
    "DefaultDeviceType",
    "GraphExecGroup",
    "SelectiveCheckpointContext",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]

_early_stop = None  # what set_checkpoint_early_stop says; None: each call says
_debug = None  # ... and set_checkpoint_debug_enabled

_LOGGED = """An error happened while unpacking tensors; dumping logs of latest
computation because you passed `debug=True` to `torch.utils.checkpoint.checkpoint()`.

1. Stack traces of the operators that ran in the original forward

{forward_stacks}
2. Stack traces of the operators that ran during recomputation

{again_stacks}
3. Log of operators in the original forward and recomputation
("detach" may differ: checkpointing itself calls it.)

Operations executed during the original forward:

{forward}

Operations executed during recomputation:

{again}

ERROR: Detected non-determinism while running activation checkpointing

 You are seeing this error because you passed `debug=True` to checkpoint and
 tensors to be saved during the original forward and differ between those saved
 during recomputation. This can happen if different operators were ran in the
 original forward and in the recomputation: compare the two logs, and look at the
 stack traces of the first operator that differs.
"""

_USE_REENTRANT = (
    " parameter should be passed explicitly. {since} use_reentrant=False is "
    "recommended, but if you need to preserve the current default behavior, you can "
    "pass use_reentrant=True. Refer to docs for more details on the differences "
    "between the two variants."
)


class CheckpointError(RuntimeError):
    """What was computed again is not what the forward computed."""


class DefaultDeviceType:
    """The device type that checkpoints look at where no argument tells."""

    _type = "cuda"

    @staticmethod
    def set_device_type(device="cuda"):
        """Set the type."""
        DefaultDeviceType._type = device

    @staticmethod
    def get_device_type():
        """The type."""
        return DefaultDeviceType._type


def detach_variable(inputs):
    """A tuple with its tensors detached; they require grad as before."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: "
            f"{type(inputs).__name__}"
        )
    return tuple(
        (
            x.detach().requires_grad_(x.requires_grad)
            if isinstance(x, _C.TensorBase)
            else x
        )
        for x in inputs
    )


def check_backward_validity(inputs):
    """Warn if no tensor among ``inputs`` requires grad."""
    if not any(x.requires_grad for x in inputs if isinstance(x, _C.TensorBase)):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None",
            stacklevel=2,
        )


def get_device_states(*args):
    """Devices of the arguments with generators of their own: there are none."""
    return [], []


def set_device_states(devices, states, *, device_type=None):
    """Set the states of the generators of ``devices``."""
    if devices:
        raise NotImplementedError(
            "set_device_states(): the process has one generator; see set_rng_state()"
        )


def noop_context_fn():
    """Two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


@contextlib.contextmanager
def set_checkpoint_early_stop(enable):
    """Whether recomputation within stops at the last tensor that is needed."""
    global _early_stop
    before, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled):
    """Within, ``debug`` of checkpoints is this; with ``None``, what calls say."""
    global _debug
    before, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = before


class GraphExecGroup:
    """Backwards inside it compute each checkpointed region again at most once.

    They must go over parts of the graph that do not overlap. The reentrant kind does
    not take part.

    Raises:
        RuntimeError: If groups are nested.

    Example:
        >>> import flashlight as torch
        >>> from flashlight.utils.checkpoint import GraphExecGroup, checkpoint
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> a, b = checkpoint(lambda x: (x.exp(), x.sin()), x, use_reentrant=False)
        >>> with GraphExecGroup():
        ...     a.sum().backward()
        ...     b.sum().backward()
    """

    _of = threading.local()

    def __enter__(self):
        current = self._get_current_group()
        if current is not None:
            raise RuntimeError(
                "GraphExecGroup contexts cannot be nested. "
                f"Already inside group {current}"
            )
        self._of.current = self
        return self

    def __exit__(self, *exception):
        self._of.current = None

    @classmethod
    def _get_current_group(cls):
        return getattr(cls._of, "current", None)


class _Modes:
    """The random numbers and the autocasts of now, to come back to in backward."""

    def __init__(self, preserve_rng_state):
        self.rng_state = flashlight.get_rng_state() if preserve_rng_state else None
        self.autocasts = [
            {
                "device_type": kind,
                "enabled": flashlight.is_autocast_enabled(kind),
                "dtype": flashlight.get_autocast_dtype(kind),
                "cache_enabled": flashlight.is_autocast_cache_enabled(),
            }
            for kind in ("cpu", "cuda", "mps")
        ]

    @contextlib.contextmanager
    def again(self):
        with contextlib.ExitStack() as stack:
            for autocast in self.autocasts:
                stack.enter_context(flashlight.autocast(**autocast))
            if self.rng_state is not None:
                stack.enter_context(flashlight.random.fork_rng())
                flashlight.set_rng_state(self.rng_state)
            yield


class CheckpointFunction(autograd.Function):
    """The reentrant kind: a backward of its own inside the running one."""

    @staticmethod
    def forward(ctx, run_function, preserve_rng_state, *args):
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.modes = _Modes(preserve_rng_state)
        # Tensors are saved as such, so that writes to them are noticed.
        ctx.others = [None if isinstance(a, _C.TensorBase) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, _C.TensorBase)]
        ctx.save_for_backward(*(args[i] for i in ctx.places))
        with flashlight.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx, *grads):
        if not _C._is_checkpoint_valid():
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with "
                ".grad() or passing an `inputs` parameter to .backward(). To resolve "
                "this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        inputs = list(ctx.others)
        for i, tensor in zip(ctx.places, ctx.saved_tensors):
            inputs[i] = tensor
        inputs = detach_variable(tuple(inputs))
        with ctx.modes.again(), flashlight.enable_grad():
            outputs = ctx.run_function(*inputs)
        if isinstance(outputs, _C.TensorBase):
            outputs = (outputs,)
        pairs = [
            (o, g)
            for o, g in zip(outputs, grads)
            if isinstance(o, _C.TensorBase) and o.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not "
                "necessary"
            )
        autograd.backward(*zip(*pairs))
        return None, None, *(getattr(x, "grad", None) for x in inputs)


class _Stop(Exception):
    """Everything that is needed has been computed again."""


class _Slot:
    """Stands for a saved tensor; holds what was computed again, by backward."""

    def __init__(self, frame):
        self.frame = frame
        self.values = {}
        self.seen = set()


class _SavedInputs(autograd.Function):
    """Saves the arguments, so that an enclosing checkpoint may drop them too."""

    @staticmethod
    def forward(ctx, dummy, *tensors):
        ctx.save_for_backward(*tensors)
        return dummy.clone()

    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError("this node only holds tensors")


class _Frame:
    """One checkpointed call."""

    def __init__(self, function, args, kwargs, modes, context, metadata, early):
        self.function, self.kwargs = function, kwargs
        self.modes, self.context = modes, context
        self.metadata, self.early = metadata, early
        self.completed = False  # the forward
        self.left_early = False  # by a backward within, which saw a part of it
        self.logs = None  # of ops: in the forward, and when it runs again
        self.slots = []  # weak: a slot dies with the node that holds it
        self.expected = []
        self.places = [i for i, a in enumerate(args) if isinstance(a, _C.TensorBase)]
        self.others = [None if isinstance(a, _C.TensorBase) else a for a in args]
        dummy = flashlight.empty(0, requires_grad=True)
        self.saver = _SavedInputs.apply(dummy, *(args[i] for i in self.places))

    def args(self):
        args = list(self.others)
        for i, tensor in zip(self.places, self.saver.grad_fn.saved_tensors):
            args[i] = tensor
        return args

    def pack(self, tensor):
        slot = _Slot(self)
        self.slots.append(weakref.ref(slot))
        self.expected.append(self.metadata(tensor))
        return slot

    def recompute(self, task):
        count = 0
        metadata = []

        def pack(tensor):
            nonlocal count
            kept = tensor.detach() if tensor.requires_grad else tensor
            if count == len(self.slots):
                if not self.completed:
                    self.left_early = True
                    return kept
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during "
                    "recomputation than during the original forward pass.\n"
                )
            slot = self.slots[count]()
            if slot is not None:
                slot.values[task] = kept
            metadata.append(self.metadata(tensor))
            count += 1
            if self.early and count == len(self.slots):
                raise _Stop
            # Detached: a node that held its own output would be a cycle.
            return kept

        hooks = saved_tensors_hooks(pack, lambda tensor: tensor)
        with self.modes.again(), self.context, flashlight.enable_grad(), hooks:
            try:
                self.function(*self.args(), **self.kwargs)
            except _Stop:
                pass
        if self.left_early:
            return
        if count != len(self.slots):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved "
                "during the original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.slots)}\n"
                f"Number of tensors saved during recomputation: {count}.\n"
            )
        wrong = "".join(
            f"tensor at position {i}:\nsaved metadata: {before}\n"
            f"recomputed metadata: {now}\n"
            for i, (before, now) in enumerate(zip(self.expected, metadata))
            if before != now
        )
        if wrong:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors "
                f"have different metadata than during the forward pass.\n{wrong}.\n"
            )


def _stacks(log, what):
    count = len(log.lines)
    return "\n".join(
        f"{line}   ({i + 1} of {count} in {what})\n\n"
        + "".join(traceback.format_list(stack))
        for i, (line, stack) in enumerate(zip(log.lines, log.stacks))
    )


def _unpack(slot):
    logs = slot.frame.logs
    if logs is None:
        return _computed_again(slot)
    try:
        return _computed_again(slot)
    except CheckpointError as error:
        text = _LOGGED.format(
            forward_stacks=_stacks(logs[0], "original"),
            again_stacks=_stacks(logs[1], "recompute"),
            forward="\n".join(logs[0].lines),
            again="\n".join(logs[1].lines),
        )
        raise CheckpointError(text) from error


def _computed_again(slot):
    task = GraphExecGroup._get_current_group() or _C._current_graph_task_id()
    if task == -1:
        task = object()  # looked at outside a backward
    if task in slot.seen:
        raise CheckpointError(
            "torch.utils.checkpoint: Unpack is being triggered for a tensor that was "
            "already unpacked once. If you are calling ctx.saved_tensors in backward, "
            "make sure to do so only once. Otherwise please open an issue with details "
            "on your use case."
        )
    if task not in slot.values:
        slot.frame.recompute(task)
    slot.seen.add(task)
    return slot.values.pop(task)


def _metadata(tensor):
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


_DETERMINISM_CHECKS = {"default": _metadata, "none": lambda tensor: None}


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    context_fn=noop_context_fn,
    determinism_check="default",
    debug=False,
    early_stop=True,
    **kwargs,
):
    """Call a function whose intermediate values are computed again in backward.

    Args:
        function: Called with ``args`` and ``kwargs``, now and in backward.
        use_reentrant: ``False`` is the kind to use; ``True`` the older one, which works
            with ``backward()`` alone and takes no keyword arguments.
        context_fn: Gives two context managers, for the forward and for the
            recomputation.
        determinism_check: ``"default"`` compares shapes, dtypes and devices of what is
            computed again; ``"none"`` nothing.
        debug: Log the operators, here and when they run again, and show both logs where
            they turn out to differ.
        early_stop: Stop computing again at the last tensor that is needed.
        preserve_rng_state: Draw the same random numbers again (``True``).

    Raises:
        CheckpointError: In backward, if the function computes something else.

    Example:
        >>> import flashlight as torch
        >>> from flashlight.utils.checkpoint import checkpoint
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> checkpoint(torch.exp, x, use_reentrant=False).sum().backward()
        >>> x.grad
        tensor([2.7183, 7.3891])
    """
    if use_reentrant is None:
        since = (
            "Starting in PyTorch 2.9, calling checkpoint without use_reentrant will "
            "raise an exception."
        )
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant"
            + _USE_REENTRANT.format(since=since),
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError(
                "Passing `context_fn` or `debug` is only supported when "
                "use_reentrant=False."
            )
        return CheckpointFunction.apply(function, preserve, *args)
    logs = None
    if debug if _debug is None else _debug:
        if context_fn is not noop_context_fn:
            raise ValueError("debug=True is incompatible with non-default context_fn")
        logs = OpLog(), OpLog()
    if determinism_check not in _DETERMINISM_CHECKS:
        raise ValueError(
            f"determinism_check should be one of {list(_DETERMINISM_CHECKS)}, but got "
            f"{determinism_check}"
        )
    forward_context, recompute_context = logs or context_fn()
    if not flashlight.is_grad_enabled():
        with forward_context:
            return function(*args, **kwargs)
    frame = _Frame(
        function,
        args,
        kwargs,
        _Modes(preserve),
        recompute_context,
        _DETERMINISM_CHECKS[determinism_check],
        early_stop if _early_stop is None else _early_stop,
    )
    frame.logs = logs
    with saved_tensors_hooks(frame.pack, _unpack), forward_context:
        result = function(*args, **kwargs)
        frame.completed = True
        return result
    raise RuntimeError(
        "torch.utils.checkpoint: the forward context provided by context_fn suppressed "
        "an exception raised during the checkpointed forward. This is not supported "
        "because checkpoint cannot return a value for a failed forward."
    )


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """Call functions one after the other, in checkpointed segments; not the last.

    Args:
        functions: A ``Sequential``, or a list of functions.
        segments: The number of segments.
        input: What the first function is given.
        use_reentrant: As for :func:`checkpoint`.
        preserve_rng_state: As for :func:`checkpoint`.
    """
    if use_reentrant is None:
        since = (
            "In version 2.9 we will raise an exception if use_reentrant is not passed."
        )
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant"
            + _USE_REENTRANT.format(since=since),
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))

    def run(part):
        def forward(x):
            for function in part:
                x = function(x)
            return x

        return forward

    if isinstance(functions, nn.Sequential):
        functions = list(functions.children())
    size = len(functions) // segments
    last = size * (segments - 1)
    for start in range(0, last, size) if size else ():
        input = checkpoint(
            run(functions[start : start + size]),
            input,
            use_reentrant=use_reentrant,
            preserve_rng_state=preserve,
        )
    return run(functions[last:])(input)
