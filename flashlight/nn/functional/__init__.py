"""Functional interface of the layers: one function an operation."""

from ...overrides import _make_overridable
from .. import _reduction as _Reduction
from . import _activation, _attention, _linear, _loss, _normalization, _pooling, _vision
from ._activation import *  # noqa: F403
from ._activation import _get_softmax_dim
from ._attention import *  # noqa: F403
from ._attention import (
    _canonical_mask,
    _in_projection,
    _in_projection_packed,
    _mha_shape_check,
    _none_or_dtype,
)
from ._linear import *  # noqa: F403
from ._loss import *  # noqa: F403
from ._normalization import *  # noqa: F403
from ._normalization import _verify_batch_size, _verify_spatial_size
from ._pooling import *  # noqa: F403
from ._vision import *  # noqa: F403
from ._vision import GRID_SAMPLE_INTERPOLATION_MODES, GRID_SAMPLE_PADDING_MODES

__all__ = [
    *_activation.__all__,
    *_attention.__all__,
    *_linear.__all__,
    *_loss.__all__,
    *_normalization.__all__,
    *_pooling.__all__,
    *_vision.__all__,
]


def _go_through_torch_function():
    parts = _activation, _attention, _linear, _loss, _normalization, _pooling, _vision
    for part in parts:
        _make_overridable(part)
        globals().update({name: getattr(part, name) for name in part.__all__})


_go_through_torch_function()
