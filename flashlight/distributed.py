"""``torch.distributed``: training over several processes is not there."""


def is_available():
    """Whether the package can be used: not yet."""
    return False


def is_initialized():
    """Whether there is a process group: never."""
    return False
