"""Windows: symmetric by default, or one period of a longer one if `sym` is False."""

import math

import flashlight

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _checked(name, M, dtype, layout):
    """The dtype of a window of M points."""
    dtype = flashlight.get_default_dtype() if dtype is None else dtype
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not flashlight.strided:
        raise ValueError(
            f"{name} is implemented for strided tensors only, got: {layout}"
        )
    if dtype not in (flashlight.float32, flashlight.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    return dtype


def _points(start, end, M, dtype, layout, device, requires_grad):
    return flashlight.linspace(
        start=start,
        end=end,
        steps=M,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def _nothing(dtype, layout, device, requires_grad):
    return flashlight.empty(
        (0,), dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


def exponential(
    M,
    *,
    center=None,
    tau=1.0,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """Falls off from the center as ``exp(-|n - center| / tau)``.

    Args:
        M: How many points.
        center: Where the largest is; the middle if None. Only where `sym` is False.
        tau: In how many points it falls by e.
        sym: Whether the window is symmetric, or a period of one of M + 1 points.

    Raises:
        ValueError: M is negative, tau is not positive, or a symmetric window is given
            a center.
    """
    dtype = _checked("exponential", M, dtype, layout)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if M == 0:
        return _nothing(dtype, layout, device, requires_grad)
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2.0
    scale = 1 / tau
    k = _points(
        -center * scale,
        (-center + (M - 1)) * scale,
        M,
        dtype,
        layout,
        device,
        requires_grad,
    )
    return flashlight.exp(-flashlight.abs(k))


def cosine(
    M,
    *,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """Half a period of a sine.

    Args:
        M: How many points.
        sym: Whether the window is symmetric, or a period of one of M + 1 points.
    """
    dtype = _checked("cosine", M, dtype, layout)
    if M == 0:
        return _nothing(dtype, layout, device, requires_grad)
    start = 0.5
    scale = math.pi / (M + 1 if not sym and M > 1 else M)
    k = _points(
        start * scale,
        (start + (M - 1)) * scale,
        M,
        dtype,
        layout,
        device,
        requires_grad,
    )
    return flashlight.sin(k)


def gaussian(
    M,
    *,
    std=1.0,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """The bell curve.

    Args:
        M: How many points.
        std: The standard deviation, in points.
        sym: Whether the window is symmetric, or a period of one of M + 1 points.
    """
    dtype = _checked("gaussian", M, dtype, layout)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return _nothing(dtype, layout, device, requires_grad)
    start = -(M if not sym and M > 1 else M - 1) / 2.0
    scale = 1 / (std * math.sqrt(2))
    k = _points(
        start * scale,
        (start + (M - 1)) * scale,
        M,
        dtype,
        layout,
        device,
        requires_grad,
    )
    return flashlight.exp(-(k**2))


def kaiser(
    M,
    *,
    beta=12.0,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """Kaiser's window, of Bessel functions.

    Args:
        M: How many points.
        beta: The shape: 0 is a rectangle.
        sym: Whether the window is symmetric, or a period of one of M + 1 points.
    """
    dtype = _checked("kaiser", M, dtype, layout)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M == 0:
        return _nothing(dtype, layout, device, requires_grad)
    if M == 1:
        return flashlight.ones(
            (1,), dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
        )
    # As a tensor, to be rounded as the points are.
    beta = flashlight.tensor(beta, dtype=dtype, device=device)
    start = -beta
    scale = 2.0 * beta / (M if not sym else M - 1)
    end = flashlight.minimum(beta, start + (M - 1) * scale)
    k = _points(start, end, M, dtype, layout, device, requires_grad)
    inside = flashlight.sqrt(beta * beta - flashlight.pow(k, 2))
    return flashlight.i0(inside) / flashlight.i0(beta)


def general_cosine(
    M,
    *,
    a,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """A sum of cosines, with signs that alternate.

    Args:
        M: How many points.
        a: The coefficient of each, from frequency 0.
        sym: Whether the window is symmetric, or a period of one of M + 1 points.

    Raises:
        TypeError: `a` is not a list or tuple.
        ValueError: M is negative, or `a` is empty.
    """
    dtype = _checked("general_cosine", M, dtype, layout)
    if M == 0:
        return _nothing(dtype, layout, device, requires_grad)
    if M == 1:
        return flashlight.ones(
            (1,), dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
        )
    if not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    step = 2 * math.pi / (M if not sym else M - 1)
    k = _points(0, (M - 1) * step, M, dtype, layout, device, requires_grad)
    signed = flashlight.tensor(
        [(-1) ** i * w for i, w in enumerate(a)],
        device=device,
        dtype=dtype,
        requires_grad=requires_grad,
    )
    i = flashlight.arange(
        len(a), dtype=signed.dtype, device=device, requires_grad=requires_grad
    )
    return (signed.unsqueeze(-1) * flashlight.cos(i.unsqueeze(-1) * k)).sum(0)


def general_hamming(
    M,
    *,
    alpha=0.54,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """``alpha - (1 - alpha) cos``: Hamming's is 0.54, Hann's 0.5."""
    return general_cosine(
        M,
        a=[alpha, 1.0 - alpha],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def hamming(
    M,
    *,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """Hamming's window: a raised cosine that does not reach zero."""
    return general_hamming(
        M,
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def hann(
    M,
    *,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """Hann's window: a raised cosine."""
    return general_hamming(
        M,
        alpha=0.5,
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def blackman(
    M,
    *,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """Blackman's window: three cosines."""
    dtype = _checked("blackman", M, dtype, layout)
    return general_cosine(
        M,
        a=[0.42, 0.5, 0.08],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def bartlett(
    M,
    *,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """A triangle."""
    dtype = _checked("bartlett", M, dtype, layout)
    if M == 0:
        return _nothing(dtype, layout, device, requires_grad)
    if M == 1:
        return flashlight.ones(
            (1,), dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
        )
    start = -1
    scale = 2 / (M if not sym else M - 1)
    k = _points(start, start + (M - 1) * scale, M, dtype, layout, device, requires_grad)
    return 1 - flashlight.abs(k)


def nuttall(
    M,
    *,
    sym=True,
    dtype=None,
    layout=flashlight.strided,
    device=None,
    requires_grad=False,
):
    """Nuttall's window: four cosines."""
    return general_cosine(
        M,
        a=[0.3635819, 0.4891775, 0.1365995, 0.0106411],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )
