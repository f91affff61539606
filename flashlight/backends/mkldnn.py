"""``torch.backends.mkldnn``: oneDNN's layouts are not offered."""

enabled = False


def is_available():
    """Whether tensors can have oneDNN's layouts: no."""
    return False
