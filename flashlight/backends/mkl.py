"""``torch.backends.mkl``."""


def is_available():
    """Whether MKL is there: MLX does not use it."""
    return False
