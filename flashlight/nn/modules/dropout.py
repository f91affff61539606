"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.dropout import AlphaDropout as AlphaDropout
from ..layers.dropout import Dropout as Dropout
from ..layers.dropout import Dropout1d as Dropout1d
from ..layers.dropout import Dropout2d as Dropout2d
from ..layers.dropout import Dropout3d as Dropout3d
from ..layers.dropout import FeatureAlphaDropout as FeatureAlphaDropout
from ..layers.dropout import _DropoutNd as _DropoutNd
