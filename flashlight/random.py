"""Seeds and the state of the default generator: PyTorch's own stream on the CPU."""

import contextlib

from flashlight import _C

default_generator = _C.default_generator


def manual_seed(seed):
    """Seed every generator; returns the CPU's."""
    return default_generator.manual_seed(int(seed))


def seed():
    """Seed from the system's entropy; returns the seed."""
    return default_generator.seed()


def initial_seed():
    """The seed that the default generator was given."""
    return default_generator.initial_seed()


def get_rng_state():
    """The state of the default generator: 5056 bytes in PyTorch's layout."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Set the state of the default generator."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True, device_type="cuda"):
    """Restore the state of the generator when the block ends."""
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
