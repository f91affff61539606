"""``Size``: the tuple that ``Tensor.shape`` is."""

import math

from flashlight import _C


class Size(tuple):
    """The sizes of a tensor: a tuple of ints.

    Example:
        >>> import flashlight
        >>> flashlight.zeros(2, 3).shape.numel()
        6
    """

    __slots__ = ()
    __module__ = "torch"

    def __new__(cls, sizes=()):
        items = []
        for i, n in enumerate(sizes):
            if isinstance(n, float) or not hasattr(n, "__index__"):
                raise TypeError(
                    f"torch.Size() takes an iterable of 'int' (item {i} is "
                    f"'{type(n).__name__}')"
                )
            items.append(n.__index__())
        return tuple.__new__(cls, items)

    def numel(self) -> int:
        """The number of elements of a tensor of these sizes."""
        return math.prod(self)

    def __repr__(self):
        return f"torch.Size([{', '.join(map(repr, self))}])"

    def __getitem__(self, index):
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item

    def __add__(self, other: tuple) -> "Size":
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: tuple) -> "Size":
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(other, self))

    def __mul__(self, n: int) -> "Size":
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__

    def __reduce__(self):
        from flashlight import _utils

        make = Size if _utils._is_served() else _utils._size
        return (make, (tuple(self),))


_C._set_size_type(Size)
