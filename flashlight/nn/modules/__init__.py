"""PyTorch's import paths of the layers."""

from ..layers.activation import *  # noqa: F403
from ..layers.adaptive import *  # noqa: F403
from ..layers.attention import *  # noqa: F403
from ..layers.container import *  # noqa: F403
from ..layers.conv import *  # noqa: F403
from ..layers.distance import *  # noqa: F403
from ..layers.dropout import *  # noqa: F403
from ..layers.embedding import *  # noqa: F403
from ..layers.linear import *  # noqa: F403
from ..layers.loss import *  # noqa: F403
from ..layers.normalization import *  # noqa: F403
from ..layers.padding import *  # noqa: F403
from ..layers.pooling import *  # noqa: F403
from ..layers.rnn import *  # noqa: F403
from ..layers.shape import *  # noqa: F403
from ..layers.transformer import *  # noqa: F403
from ..module import Module as Module
from . import (  # noqa: F401
    activation,
    adaptive,
    batchnorm,
    channelshuffle,
    container,
    conv,
    distance,
    dropout,
    flatten,
    fold,
    instancenorm,
    lazy,
    linear,
    loss,
    module,
    normalization,
    padding,
    pixelshuffle,
    pooling,
    rnn,
    sparse,
    transformer,
    upsampling,
    utils,
)


def _name_classes_as_torch() -> None:
    """Let every class say that it lives in its alias here, as PyTorch's do.

    A pickled module names its class by that path, and so loads in either library.
    """
    import sys

    folder = __name__ + "."
    layers = __name__.rpartition(".")[0]
    for name, alias in list(sys.modules.items()):
        if not name.startswith(folder):
            continue
        for cls in vars(alias).values():
            if isinstance(cls, type) and cls.__module__.startswith(layers):
                cls.__module__ = name


_name_classes_as_torch()

__all__ = [
    name
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, Module)
]
