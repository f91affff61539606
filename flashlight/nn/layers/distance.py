"""Distance layers."""

from .. import functional as F
from ..module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """p-norm of ``x1 - x2 + eps``.

    Args:
        p: Exponent of the norm.
        eps: Added to the difference.
        keepdim: Keep the last dimension, with size 1.

    Shape:
        - Input1, Input2: (N, D) or (D).
        - Output: (N) or ().
    """

    __constants__ = ["norm", "eps", "keepdim"]

    def __init__(
        self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
    ) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """Cosine of the angle of two vectors.

    Args:
        dim: Dimension of the vectors.
        eps: Least product of the norms.

    Shape:
        - Input1, Input2: (*, D, *).
        - Output: (*, *).
    """

    __constants__ = ["dim", "eps"]

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
