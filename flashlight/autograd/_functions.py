"""``torch.autograd._functions``: Functions that old programs name."""

import math

from flashlight.autograd.function import Function


class Resize(Function):
    """The elements of a tensor in another shape."""

    @staticmethod
    def forward(ctx, tensor, sizes):
        n = math.prod(sizes)
        if n != tensor.numel():
            raise RuntimeError(
                f"requested resize to {'x'.join(map(str, sizes))} ({n} elements in "
                "total), but the given tensor has a size of "
                f"{'x'.join(map(str, tensor.size()))} ({tensor.numel()} elements). "
                "autograd's resize can only change the shape of a given tensor, while "
                "preserving the number of elements. "
            )
        ctx.sizes = tensor.size()
        return tensor.reshape(sizes)

    @staticmethod
    def backward(ctx, grad):
        return grad.contiguous().view(ctx.sizes), None


class Type(Function):
    """A tensor as one of another type, and the gradient as it was."""

    @staticmethod
    def forward(ctx, tensor, to):
        ctx.type = tensor.type()
        return tensor.type(to)

    @staticmethod
    def backward(ctx, grad):
        return grad.type(ctx.type), None
