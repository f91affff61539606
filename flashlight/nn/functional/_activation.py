"""Activations and softmaxes."""

import warnings

import flashlight

_nn = flashlight._C._nn

__all__ = [
    "threshold",
    "threshold_",
    "relu",
    "relu_",
    "glu",
    "hardtanh",
    "hardtanh_",
    "relu6",
    "elu",
    "elu_",
    "selu",
    "selu_",
    "celu",
    "celu_",
    "leaky_relu",
    "leaky_relu_",
    "prelu",
    "rrelu",
    "rrelu_",
    "logsigmoid",
    "gelu",
    "hardshrink",
    "tanhshrink",
    "softsign",
    "softplus",
    "softmin",
    "softmax",
    "gumbel_softmax",
    "log_softmax",
    "softshrink",
    "tanh",
    "sigmoid",
    "hardsigmoid",
    "silu",
    "mish",
    "hardswish",
]


def threshold(input, threshold: float, value: float, inplace: bool = False):
    """Replace each element that is not above ``threshold`` by ``value``."""
    if inplace:
        return flashlight.threshold_(input, threshold, value)
    return flashlight.threshold(input, threshold, value)


def threshold_(input, threshold: float, value: float):
    """In-place :func:`threshold`."""
    return flashlight.threshold_(input, threshold, value)


def relu(input, inplace: bool = False):
    """Return max(0, x)."""
    return flashlight.relu_(input) if inplace else flashlight.relu(input)


def relu_(input):
    """In-place :func:`relu`."""
    return flashlight.relu_(input)


def glu(input, dim: int = -1):
    """Return a * sigmoid(b) of the two halves of ``input`` along ``dim``."""
    if input.dim() == 0:
        raise RuntimeError(
            "glu does not support scalars because halving size must be even"
        )
    return _nn.glu(input, dim)


def hardtanh(input, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
    """Clamp to [``min_val``, ``max_val``]."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if inplace:
        return _nn.hardtanh_(input, min_val, max_val)
    return _nn.hardtanh(input, min_val, max_val)


def hardtanh_(input, min_val: float = -1.0, max_val: float = 1.0):
    """In-place :func:`hardtanh`."""
    return _nn.hardtanh_(input, min_val, max_val)


def relu6(input, inplace: bool = False):
    """Return min(max(0, x), 6)."""
    return _nn.relu6_(input) if inplace else _nn.relu6(input)


def elu(input, alpha: float = 1.0, inplace: bool = False):
    """Return x where positive, alpha * (exp(x) - 1) elsewhere."""
    return _nn.elu_(input, alpha) if inplace else _nn.elu(input, alpha)


def elu_(input, alpha: float = 1.0):
    """In-place :func:`elu`."""
    return _nn.elu_(input, alpha)


def selu(input, inplace: bool = False):
    """Return the scaled elu that keeps activations normalized."""
    return flashlight.selu_(input) if inplace else flashlight.selu(input)


def selu_(input):
    """In-place :func:`selu`."""
    return flashlight.selu_(input)


def celu(input, alpha: float = 1.0, inplace: bool = False):
    """Return max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    if inplace:
        return flashlight.celu_(input, alpha)
    return flashlight.celu(input, alpha)


def celu_(input, alpha: float = 1.0):
    """In-place :func:`celu`."""
    return flashlight.celu_(input, alpha)


def leaky_relu(input, negative_slope: float = 0.01, inplace: bool = False):
    """Return x where positive, negative_slope * x elsewhere."""
    if inplace:
        return _nn.leaky_relu_(input, negative_slope)
    return _nn.leaky_relu(input, negative_slope)


def leaky_relu_(input, negative_slope: float = 0.01):
    """In-place :func:`leaky_relu`."""
    return _nn.leaky_relu_(input, negative_slope)


def prelu(input, weight):
    """Leaky relu whose slope, one or one per channel, is ``weight``."""
    return flashlight.prelu(input, weight)


def rrelu(
    input,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
):
    """Leaky relu whose slope is drawn from [``lower``, ``upper``) in training."""
    if inplace:
        return flashlight.rrelu_(input, lower, upper, training)
    return flashlight.rrelu(input, lower, upper, training)


def rrelu_(
    input, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
):
    """In-place :func:`rrelu`."""
    return flashlight.rrelu_(input, lower, upper, training)


def logsigmoid(input):
    """Return log(sigmoid(x))."""
    return _nn.log_sigmoid(input)


def gelu(input, approximate: str = "none"):
    """Return x * Phi(x), exact or by the ``"tanh"`` formula."""
    return _nn.gelu(input, approximate=approximate)


def hardshrink(input, lambd: float = 0.5):
    """Return x where \\|x\\| exceeds ``lambd``, zero elsewhere."""
    return flashlight.hardshrink(input, lambd)


def tanhshrink(input):
    """Return x - tanh(x)."""
    return input - input.tanh()


def softsign(input):
    """Return x / (1 + \\|x\\|)."""
    return input / (input.abs() + 1)


def softplus(input, beta: float = 1.0, threshold: float = 20.0):
    """Return log(1 + exp(beta * x)) / beta, and x where beta * x > threshold."""
    return _nn.softplus(input, beta, threshold)


def softshrink(input, lambd: float = 0.5):
    """Move x towards zero by ``lambd``, and to zero if it is nearer."""
    return _nn.softshrink(input, lambd)


def _get_softmax_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to "
        "include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmin(input, dim=None, _stacklevel: int = 3, dtype=None):
    """Return softmax(-x) along ``dim``, computed in ``dtype`` if given."""
    if dim is None:
        dim = _get_softmax_dim("softmin", input.dim(), _stacklevel)
    return (-input).softmax(dim) if dtype is None else (-input).softmax(dim, dtype)


def softmax(input, dim=None, _stacklevel: int = 3, dtype=None):
    """Rescale so that slices along ``dim`` are positive and sum to 1.

    Args:
        input: Tensor of any shape.
        dim: Dimension of the slices.
        dtype: Dtype to cast to first.
    """
    if dim is None:
        dim = _get_softmax_dim("softmax", input.dim(), _stacklevel)
    return input.softmax(dim) if dtype is None else input.softmax(dim, dtype=dtype)


def log_softmax(input, dim=None, _stacklevel: int = 3, dtype=None):
    """Return log(softmax(x)), computed in one stable step."""
    if dim is None:
        dim = _get_softmax_dim("log_softmax", input.dim(), _stacklevel)
    if dtype is None:
        return input.log_softmax(dim)
    return input.log_softmax(dim, dtype=dtype)


def gumbel_softmax(
    logits, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
):
    """Sample from the Gumbel-Softmax distribution.

    Args:
        logits: Unnormalized log probabilities.
        tau: Temperature.
        hard: Return one-hot samples, with the gradient of the soft ones.
        eps: Has no effect.
        dim: Dimension of the distribution.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    gumbels = -flashlight.empty_like(logits).exponential_().log()
    y_soft = ((logits + gumbels) / tau).softmax(dim)
    if not hard:
        return y_soft
    index = y_soft.max(dim, keepdim=True)[1]
    y_hard = flashlight.zeros_like(logits).scatter_(dim, index, 1.0)
    return y_hard - y_soft.detach() + y_soft


def tanh(input):
    """Return tanh(x)."""
    return input.tanh()


def sigmoid(input):
    """Return 1 / (1 + exp(-x))."""
    return input.sigmoid()


def hardsigmoid(input, inplace: bool = False):
    """Return x / 6 + 1 / 2, clamped to [0, 1]."""
    return _nn.hardsigmoid_(input) if inplace else _nn.hardsigmoid(input)


def silu(input, inplace: bool = False):
    """Return x * sigmoid(x)."""
    return _nn.silu_(input) if inplace else _nn.silu(input)


def mish(input, inplace: bool = False):
    """Return x * tanh(softplus(x))."""
    return _nn.mish_(input) if inplace else _nn.mish(input)


def hardswish(input, inplace: bool = False):
    """Return x * hardsigmoid(x)."""
    return _nn.hardswish_(input) if inplace else _nn.hardswish(input)
