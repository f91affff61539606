"""``vmap`` and gradients, under the names that ``functorch`` imports them by."""

from flashlight.func import grad, grad_and_value, vmap
from flashlight.func._vmap import _vmap_in_steps

__all__ = ["chunk_vmap", "grad", "grad_and_value", "vmap"]


def chunk_vmap(func, in_dims=0, out_dims=0, randomness="error", chunks=2):
    """As :func:`flashlight.vmap`, in so many ``chunks``.

    Args:
        func: of tensors, to tensors.
        in_dims: as of ``vmap``.
        out_dims: as of ``vmap``.
        randomness: as of ``vmap``.
        chunks: how many parts the batch is cut in, as :meth:`Tensor.chunk` cuts it.
    """
    return _vmap_in_steps(
        func, in_dims, out_dims, randomness, lambda size: -(-size // chunks)
    )
