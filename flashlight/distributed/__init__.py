"""``torch.distributed``, as in a PyTorch that was built without it."""


def is_available():
    """Whether processes can be joined: not yet."""
    return False


def is_initialized():
    """Whether processes have been joined: never, here."""
    return False
