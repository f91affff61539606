"""``torch.xpu``: MLX has no backend for Intel's GPUs."""


def is_available():
    """Whether there is such a device: no."""
    return False


def device_count():
    """How many there are: none."""
    return 0
