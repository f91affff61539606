"""``torch.compiler``: what programs ask of it where nothing is compiled."""


def is_compiling():
    """Whether the caller is being traced for compilation: never."""
    return False


def is_dynamo_compiling():
    """Whether TorchDynamo traces the caller: there is none."""
    return False


def is_exporting():
    """Whether the caller is being exported: never."""
    return False


def disable(fn=None, recursive=True, *, reason=None):
    """Mark a function that is not to be compiled: as it is.

    Args:
        fn: The function; None gives a decorator.
        recursive: Accepted: nothing is compiled.
        reason: Accepted, for readers.
    """
    return (lambda f: f) if fn is None else fn


def reset():
    """Forget what was compiled: there is nothing."""


class set_stance:
    """What to do about compilation, as a call, a ``with`` or a decorator.

    All of PyTorch's stances are taken, and all mean the same: run eagerly.

    Args:
        stance: ``"default"``, ``"force_eager"``, ...
        skip_guard_eval_unsafe: Accepted: there are no guards.
        force_backend: None; there is no backend to force.
    """

    STANCES = (
        "default",
        "eager_then_compile",
        "aot_eager_then_compile",
        "force_eager",
        "eager_on_recompile",
        "fail_on_recompile",
    )

    def __init__(
        self, stance="default", *, skip_guard_eval_unsafe=False, force_backend=None
    ):
        if stance not in self.STANCES:
            raise RuntimeError(f"invalid torch.compile stance {stance!r}")
        if force_backend is not None:
            raise NotImplementedError("set_stance(force_backend=) is not supported")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def __call__(self, fn):
        return fn
