"""``torch.sparse``: its settings. There are no sparse tensors yet."""

import functools

__all__ = ["check_sparse_tensor_invariants"]


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
