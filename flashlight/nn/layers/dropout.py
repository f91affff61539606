"""Dropout layers."""

from .. import functional as F
from ..module import Module

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]


class _DropoutNd(Module):
    __constants__ = ["p", "inplace"]
    p: float
    inplace: bool

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(
                f"dropout probability has to be between 0 and 1, but got {p}"
            )
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Zeroes elements at random in training and scales the rest by 1 / (1 - p).

    Args:
        p: Probability of an element to be zeroed.
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).

    Examples:
        >>> nn.Dropout(0.2).eval()(torch.ones(3))
        tensor([1., 1., 1.])
    """

    def forward(self, input):
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """Zeroes whole channels at random in training.

    Args:
        p: Probability of a channel to be zeroed.
        inplace: Change the input itself.

    Shape:
        - Input: (N, C, L) or (C, L).
        - Output: the same.
    """

    def forward(self, input):
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Zeroes whole channels at random in training.

    Args:
        p: Probability of a channel to be zeroed.
        inplace: Change the input itself.

    Shape:
        - Input: (N, C, H, W) or (N, C, L).
        - Output: the same.
    """

    def forward(self, input):
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Zeroes whole channels at random in training.

    Args:
        p: Probability of a channel to be zeroed.
        inplace: Change the input itself.

    Shape:
        - Input: (N, C, D, H, W) or (C, D, H, W).
        - Output: the same.
    """

    def forward(self, input):
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps the mean and variance of SELU activations.

    Args:
        p: Probability of an element to be dropped.
        inplace: Accepted, and not used by forward, as in PyTorch.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """Alpha dropout of whole channels.

    Args:
        p: Probability of a channel to be dropped.
        inplace: Accepted, and not used by forward, as in PyTorch.

    Shape:
        - Input: (N, C, D, H, W) or (C, D, H, W).
        - Output: the same.
    """

    def forward(self, input):
        return F.feature_alpha_dropout(input, self.p, self.training)
