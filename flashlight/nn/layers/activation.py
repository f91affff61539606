"""Activation layers."""

import warnings

import flashlight

from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class Threshold(Module):
    """Replaces each element that is not above ``threshold`` by ``value``.

    Args:
        threshold: Threshold.
        value: Replacement.
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    __constants__ = ["threshold", "value", "inplace"]

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self):
        inplace_str = ", inplace=True" if self.inplace else ""
        return f"threshold={self.threshold}, value={self.value}{inplace_str}"


class _Inplace(Module):
    """Activation whose only option is ``inplace``."""

    __constants__ = ["inplace"]
    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ReLU(_Inplace):
    """max(0, x).

    Args:
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).

    Examples:
        >>> nn.ReLU()(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def forward(self, input):
        return F.relu(input, inplace=self.inplace)


class RReLU(Module):
    """Leaky ReLU whose slope is drawn at random in training.

    Args:
        lower: Least slope.
        upper: Greatest slope; evaluation uses the mean of the two.
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    __constants__ = ["lower", "upper", "inplace"]

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input):
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self):
        inplace_str = ", inplace=True" if self.inplace else ""
        return f"lower={self.lower}, upper={self.upper}{inplace_str}"


class Hardtanh(Module):
    """Clamps to [``min_val``, ``max_val``].

    Args:
        min_val: Lower bound.
        max_val: Upper bound.
        inplace: Change the input itself.
        min_value: Deprecated name of ``min_val``.
        max_value: Deprecated name of ``max_val``.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    __constants__ = ["min_val", "max_val", "inplace"]

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value=None,
        max_value=None,
    ) -> None:
        super().__init__()
        if min_value is not None:
            warnings.warn(
                "keyword argument `min_value` is deprecated and renamed to `min_val`",
                FutureWarning,
                stacklevel=2,
            )
            min_val = min_value
        if max_value is not None:
            warnings.warn(
                "keyword argument `max_value` is deprecated and renamed to `max_val`",
                FutureWarning,
                stacklevel=2,
            )
            max_val = max_value
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace
        if self.max_val <= self.min_val:
            raise AssertionError(
                f"max_val ({self.max_val}) must be greater than min_val "
                f"({self.min_val})"
            )

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        inplace_str = ", inplace=True" if self.inplace else ""
        return f"min_val={self.min_val}, max_val={self.max_val}{inplace_str}"


class ReLU6(Hardtanh):
    """min(max(0, x), 6).

    Args:
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return flashlight.sigmoid(input)


class Hardsigmoid(_Inplace):
    """x / 6 + 1 / 2, clamped to [0, 1].

    Args:
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Tanh(Module):
    """tanh(x).

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return flashlight.tanh(input)


class SiLU(_Inplace):
    """x * sigmoid(x), also known as swish.

    Args:
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.silu(input, inplace=self.inplace)


class Mish(_Inplace):
    """x * tanh(softplus(x)).

    Args:
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.mish(input, inplace=self.inplace)


class Hardswish(_Inplace):
    """x * hardsigmoid(x).

    Args:
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class _Alpha(Module):
    """Activation with the options ``alpha`` and ``inplace``."""

    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def extra_repr(self) -> str:
        inplace_str = ", inplace=True" if self.inplace else ""
        return f"alpha={self.alpha}{inplace_str}"


class ELU(_Alpha):
    """x where positive, alpha * (exp(x) - 1) elsewhere.

    Args:
        alpha: Factor of the negative part.
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.elu(input, self.alpha, self.inplace)


class CELU(_Alpha):
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).

    Args:
        alpha: Scale of the negative part.
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.celu(input, self.alpha, self.inplace)


class SELU(_Inplace):
    """Scaled ELU that keeps activations normalized.

    Args:
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.selu(input, self.inplace)


class GLU(Module):
    """a * sigmoid(b) of the two halves a and b of the input.

    Args:
        dim: Dimension to halve.

    Shape:
        - Input: (*, N, *), N even.
        - Output: (*, N / 2, *).
    """

    __constants__ = ["dim"]

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class GELU(Module):
    """x * Phi(x), with the distribution function of the normal distribution.

    Args:
        approximate: ``"none"`` or the ``"tanh"`` formula.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    __constants__ = ["approximate"]

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={repr(self.approximate)}"


class Hardshrink(Module):
    """x where its absolute value exceeds ``lambd``, zero elsewhere.

    Args:
        lambd: Threshold.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    __constants__ = ["lambd"]

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class LeakyReLU(Module):
    """x where positive, negative_slope * x elsewhere.

    Args:
        negative_slope: Slope of the negative part.
        inplace: Change the input itself.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    __constants__ = ["inplace", "negative_slope"]

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        inplace_str = ", inplace=True" if self.inplace else ""
        return f"negative_slope={self.negative_slope}{inplace_str}"


class LogSigmoid(Module):
    """log(sigmoid(x)).

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.logsigmoid(input)


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, and x where beta * x > threshold.

    Args:
        beta: Sharpness.
        threshold: Where the function turns linear.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    __constants__ = ["beta", "threshold"]

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softshrink(Module):
    """Moves x towards zero by ``lambd``, and to zero if it is nearer.

    Args:
        lambd: Distance, at least zero.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    __constants__ = ["lambd"]

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class PReLU(Module):
    """Leaky ReLU with learned slopes.

    Args:
        num_parameters: One slope, or one for each channel.
        init: Value of the slopes at the start.
        device: Device of the parameters.
        dtype: Dtype of the parameters.

    Shape:
        - Input: (N, C, *), or any with one slope.
        - Output: the same.

    Attributes:
        weight: (num_parameters).
    """

    __constants__ = ["num_parameters"]

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device=None, dtype=None
    ) -> None:
        factory_kwargs = {"device": device, "dtype": dtype}
        self.num_parameters = num_parameters
        super().__init__()
        self.init = init
        self.weight = Parameter(flashlight.empty(num_parameters, **factory_kwargs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init.constant_(self.weight, self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Softsign(Module):
    """x / (1 + abs(x)).

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x).

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.tanhshrink(input)


class _SoftmaxDim(Module):
    """Softmax along ``dim``."""

    __constants__ = ["dim"]

    def __init__(self, dim=None) -> None:
        super().__init__()
        self.dim = dim

    def __setstate__(self, state):
        super().__setstate__(state)
        if not hasattr(self, "dim"):
            self.dim = None


class Softmin(_SoftmaxDim):
    """softmax(-x).

    Args:
        dim: Dimension along which the results sum to 1.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.softmin(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_SoftmaxDim):
    """Positive values that sum to 1 along ``dim``.

    Args:
        dim: Dimension along which the results sum to 1.

    Shape:
        - Input: (*).
        - Output: (*).

    Examples:
        >>> nn.Softmax(dim=0)(torch.zeros(4))
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input):
        return F.softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax2d(Module):
    """Softmax over the channels of an image.

    Shape:
        - Input: (N, C, H, W) or (C, H, W).
        - Output: the same.
    """

    def forward(self, input):
        if input.dim() not in (3, 4):
            raise ValueError(
                f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead"
            )
        return F.softmax(input, -3, _stacklevel=5)


class LogSoftmax(_SoftmaxDim):
    """log(softmax(x)).

    Args:
        dim: Dimension along which the exponentials sum to 1.

    Shape:
        - Input: (*).
        - Output: (*).
    """

    def forward(self, input):
        return F.log_softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self):
        return f"dim={self.dim}"
