"""``torch.sparse``: products and sums of sparse tensors, and settings."""

import functools

from flashlight import _sparse_tensors

__all__ = ["addmm", "check_sparse_tensor_invariants", "mm", "sum"]


def mm(mat1, mat2):
    """The product of a sparse and a plain matrix: a plain one, with gradients."""
    return _sparse_tensors._product(mat1, mat2)


def addmm(mat, mat1, mat2, *, beta=1, alpha=1):
    """``beta * mat + alpha * (mat1 @ mat2)``, where ``mat1`` is sparse."""
    return _sparse_tensors._addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sum(input, dim=None, dtype=None):
    """The sum of a sparse tensor: of all, or along sparse dimensions.

    Args:
        input: The sparse tensor.
        dim: A sparse dimension or several. What is left of them stays sparse.
        dtype: Of the result.
    """
    x = input if dtype is None else input.to(dtype)
    if dim is None:
        return _sparse_tensors._sum(x)
    gone = {d % x.dim() for d in ((dim,) if isinstance(dim, int) else dim)}
    if any(d >= x.sparse_dim() for d in gone):
        raise NotImplementedError("sparse.sum: along dense dimensions")
    left = [d for d in range(x.sparse_dim()) if d not in gone]
    if not left:
        return x._values().sum(0)
    sizes = [size for d, size in enumerate(x.shape) if d not in gone]
    out = _sparse_tensors._make(x._indices()[left], x._values(), sizes)
    return out.coalesce()


class check_sparse_tensor_invariants:
    """Whether constructors of sparse tensors check their indices.

    Args:
        enable: What holds inside a ``with``, or a decorated function.
    """

    _enabled = False

    @classmethod
    def is_enabled(cls):
        """Whether the checks are on."""
        return check_sparse_tensor_invariants._enabled

    @classmethod
    def enable(cls):
        """Turn the checks on."""
        check_sparse_tensor_invariants._enabled = True

    @classmethod
    def disable(cls):
        """Turn the checks off."""
        check_sparse_tensor_invariants._enabled = False

    def __init__(self, enable=True):
        self.state = enable
        self.saved = []

    def __enter__(self):
        self.saved.append(self.is_enabled())
        check_sparse_tensor_invariants._enabled = self.state

    def __exit__(self, *exc):
        check_sparse_tensor_invariants._enabled = self.saved.pop()

    def __call__(self, function):
        @functools.wraps(function)
        def checked(*args, **kwargs):
            with type(self)(self.state):
                return function(*args, **kwargs)

        return checked
