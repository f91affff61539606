"""``torch.accelerator``: the GPU that MLX was built for, whatever its name."""

from flashlight import _C, cuda, mps


def is_available():
    """Whether there is one."""
    return cuda.is_available() or mps.is_available()


def device_count():
    """How many there are."""
    return int(is_available())


def current_accelerator(check_available=False):
    """Its device, or None where there is none."""
    if cuda.is_available():
        return _C.device("cuda")
    return _C.device("mps") if mps.is_available() else None


def empty_cache():
    """Give cached memory back."""
    mps.empty_cache()
