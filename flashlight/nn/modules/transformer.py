"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.transformer import Transformer as Transformer
from ..layers.transformer import TransformerDecoder as TransformerDecoder
from ..layers.transformer import TransformerDecoderLayer as TransformerDecoderLayer
from ..layers.transformer import TransformerEncoder as TransformerEncoder
from ..layers.transformer import TransformerEncoderLayer as TransformerEncoderLayer
from ..layers.transformer import _get_activation_fn as _get_activation_fn
from ..layers.transformer import _get_clones as _get_clones
