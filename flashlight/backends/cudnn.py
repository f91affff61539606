"""``torch.backends.cudnn``: flags that programs set; they choose nothing here."""

enabled = False
benchmark = False
deterministic = True


def is_available():
    """cuDNN is MLX's own affair: never offered here."""
    return False


def version():
    """No version: not available."""
    return None
