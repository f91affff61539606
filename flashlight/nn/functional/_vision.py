"""Padding, resampling and rearranging of images."""

import math
import warnings

import flashlight

_nn = flashlight._C._nn

__all__ = [
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "channel_shuffle",
    "native_channel_shuffle",
    "upsample",
    "interpolate",
    "upsample_nearest",
    "upsample_bilinear",
    "grid_sample",
    "affine_grid",
]


def pad(input, pad, mode: str = "constant", value=None):
    """Pad the last dimensions.

    Args:
        input: Tensor of any shape.
        pad: Sizes before and after, the last dimension first.
        mode: ``"constant"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        value: Value of constant padding; 0 by default.
    """
    return _nn.pad(input, pad, mode, value)


def pixel_shuffle(input, upscale_factor: int):
    """Rearrange (*, C * r^2, H, W) to (*, C, H * r, W * r)."""
    return flashlight.pixel_shuffle(input, upscale_factor)


def pixel_unshuffle(input, downscale_factor: int):
    """Undo :func:`pixel_shuffle`."""
    return flashlight.pixel_unshuffle(input, downscale_factor)


def channel_shuffle(input, groups: int):
    """Interleave the channels of ``groups`` groups."""
    return flashlight.channel_shuffle(input, groups)


def native_channel_shuffle(input, groups: int):
    """Interleave the channels of ``groups`` groups."""
    return flashlight.native_channel_shuffle(input, groups)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """Deprecated: see :func:`interpolate`."""
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` "
        "instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """Deprecated: see :func:`interpolate`."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use "
        "`nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """Deprecated: see :func:`interpolate`."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use "
        "`nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


_LINEAR_MODES = {"linear": 3, "bilinear": 4, "trilinear": 5}
_ALIGNABLE = ("linear", "bilinear", "bicubic", "trilinear")


def _resize_args(input, size, scale_factor):
    """Return (output size, scale factors); exactly one of the two is not None."""
    spatial = input.dim() - 2
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if not isinstance(size, (list, tuple)):
            return [size] * spatial, None
        if len(size) != spatial:
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but "
                f"got input with spatial dimensions of {list(input.shape[2:])} and "
                f"output size of {size}. Please provide input tensor in (N, C, d1, d2, "
                "...,dK) format and output size in (o1, o2, ...,oK) format."
            )
        if not all(isinstance(x, int) or hasattr(x, "__index__") for x in size):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or "
                "Tuple[int, int, int], but got size with types "
                f"{[type(x) for x in size]}"
            )
        return list(size), None
    if scale_factor is not None:
        if not isinstance(scale_factor, (list, tuple)):
            return None, [scale_factor] * spatial
        if len(scale_factor) != spatial:
            raise ValueError(
                "Input and scale_factor must have the same number of spatial "
                "dimensions, but got input with spatial dimensions of "
                f"{list(input.shape[2:])} and scale_factor of shape {scale_factor}. "
                "Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                "scale_factor in (s1, s2, ...,sK) format."
            )
        return None, list(scale_factor)
    raise ValueError("either size or scale_factor should be defined")


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode: str = "nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias: bool = False,
):
    """Resample to ``size``, or by ``scale_factor``.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: Spatial size of the result.
        scale_factor: Or its ratio to the input's.
        mode: ``"nearest"``, ``"linear"``, ``"bilinear"``, ``"bicubic"``,
            ``"trilinear"``, ``"area"``, ``"nearest-exact"`` or ``"lanczos"``.
        align_corners: Put the centres of the corner pixels on each other.
        recompute_scale_factor: Use the ratio of the rounded sizes.
        antialias: Filter before a bilinear or bicubic reduction.
    """
    if mode in ("nearest", "area", "nearest-exact", "lanczos"):
        if align_corners is not None:
            if mode == "lanczos":
                if align_corners:
                    raise ValueError("Lanczos mode does not support align_corners=True")
            else:
                raise ValueError(
                    "align_corners option can only be set with the interpolating "
                    "modes: linear | bilinear | bicubic | trilinear"
                )
    elif align_corners is None:
        align_corners = False
    ndim = input.dim()
    output_size, scale_factors = _resize_args(input, size, scale_factor)

    if recompute_scale_factor and size is not None:
        raise ValueError(
            "recompute_scale_factor is not meaningful with an explicit size."
        )
    if mode == "area" and output_size is None:
        recompute_scale_factor = True
    if recompute_scale_factor:
        output_size = [
            int(math.floor(float(input.size(i + 2)) * factor))
            for i, factor in enumerate(scale_factors)
        ]
        scale_factors = None
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes "
            "and requires a 4-D tensor as input"
        )

    if ndim in (3, 4, 5):
        if mode == "nearest":
            op = getattr(_nn, f"upsample_nearest{ndim - 2}d")
            return op(input, output_size, scale_factors)
        if mode == "nearest-exact":
            op = getattr(_nn, f"_upsample_nearest_exact{ndim - 2}d")
            return op(input, output_size, scale_factors)
        if mode == "area":
            if ndim == 3:
                return flashlight.adaptive_avg_pool1d(input, output_size)
            return getattr(_nn, f"adaptive_avg_pool{ndim - 2}d")(input, output_size)
        if mode in _LINEAR_MODES:
            needed = _LINEAR_MODES[mode]
            if needed != ndim:
                raise NotImplementedError(
                    f"Got {ndim}D input, but {mode} mode needs {needed}D input"
                )
            name = f"upsample_{mode}{ndim - 2}d"
            if antialias:
                name = "_upsample_bilinear2d_aa"
            return getattr(_nn, name)(input, output_size, align_corners, scale_factors)
        if mode == "bicubic" and ndim == 4:
            op = _nn._upsample_bicubic2d_aa if antialias else _nn.upsample_bicubic2d
            return op(input, output_size, align_corners, scale_factors)
        if mode == "lanczos" and ndim == 4:
            if not antialias:
                raise ValueError("Lanczos mode requires antialias=True")
            return _nn._upsample_lanczos2d_aa(input, output_size, False, scale_factors)
    raise NotImplementedError(
        "Input Error: Only 3D, 4D and 5D input Tensors supported "
        f"(got {ndim}D) for the modes: nearest | linear | bilinear | bicubic | "
        f"trilinear | lanczos | area | nearest-exact (got {mode})"
    )


GRID_SAMPLE_INTERPOLATION_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
GRID_SAMPLE_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}


def _align_corners_default(align_corners) -> bool:
    if align_corners is not None:
        return align_corners
    warnings.warn(
        "Default grid_sample and affine_grid behavior has changed to "
        "align_corners=False since 1.3.0. Please specify align_corners=True if the old "
        "behavior is desired. See the documentation of grid_sample for details.",
        stacklevel=3,
    )
    return False


def grid_sample(
    input,
    grid,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners=None,
):
    """Sample ``input`` at the places that ``grid`` names.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W).
        grid: (N, H_out, W_out, 2) or with three coordinates, in [-1, 1].
        mode: ``"bilinear"``, ``"nearest"`` or ``"bicubic"``.
        padding_mode: Values outside: ``"zeros"``, ``"border"`` or ``"reflection"``.
        align_corners: Whether -1 and 1 are the centres of the corner pixels.
    """
    if mode not in GRID_SAMPLE_INTERPOLATION_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or "
            f"'bicubic', but got: '{mode}'"
        )
    if padding_mode not in GRID_SAMPLE_PADDING_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', "
            f"'border', or 'reflection', but got: '{padding_mode}'"
        )
    return flashlight.grid_sampler(
        input,
        grid,
        GRID_SAMPLE_INTERPOLATION_MODES[mode],
        GRID_SAMPLE_PADDING_MODES[padding_mode],
        _align_corners_default(align_corners),
    )


def affine_grid(theta, size, align_corners=None):
    """Return the grid that an affine map moves the output's pixels to.

    Args:
        theta: (N, 2, 3) or (N, 3, 4).
        size: Size of the output, (N, C, H, W) or (N, C, D, H, W).
        align_corners: Whether -1 and 1 are the centres of the corner pixels.
    """
    align_corners = _align_corners_default(align_corners)
    if not theta.is_floating_point():
        raise ValueError(
            f"Expected theta to have floating point type, but got {theta.dtype}"
        )
    spatial = len(size) - 2
    if spatial not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine "
            f"transforms, respectively. Got size {size}."
        )
    if theta.dim() != 3 or tuple(theta.shape[-2:]) != (spatial, spatial + 1):
        raise ValueError(
            f"Expected a batch of {spatial}D affine matrices of shape "
            f"Nx{spatial}x{spatial + 1} for size {size}. Got {theta.shape}."
        )
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids "
            "when align_corners=True. This is not an intended use case of affine_grid. "
            "See the documentation of affine_grid for details.",
            stacklevel=2,
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return flashlight.affine_grid_generator(theta, size, align_corners)
