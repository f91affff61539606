"""``torch.backends.cudnn``: flags that programs set; they choose nothing here."""

import contextlib

enabled = False
benchmark = False
benchmark_limit = 10
deterministic = True
allow_tf32 = True


def is_available():
    """cuDNN is MLX's own affair: never offered here."""
    return False


def version():
    """No version: not available."""
    return None


def set_flags(**given):
    """Set those of the flags that are given and not None; return what they were."""
    before = {name: globals()[name] for name in given}
    globals().update({k: v for k, v in given.items() if v is not None})
    return before


@contextlib.contextmanager
def flags(
    enabled=False,
    benchmark=False,
    benchmark_limit=10,
    deterministic=False,
    allow_tf32=True,
):
    """Set the flags for a while; None leaves one as it is."""
    before = set_flags(
        enabled=enabled,
        benchmark=benchmark,
        benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
    )
    try:
        yield
    finally:
        set_flags(**before)
