"""Neural networks: modules, parameters, functional forms, initializers."""

from . import functional as functional
from . import init as init
from .layers.activation import *  # noqa: F403
from .layers.adaptive import *  # noqa: F403
from .layers.attention import *  # noqa: F403
from .layers.container import *  # noqa: F403
from .layers.conv import *  # noqa: F403
from .layers.distance import *  # noqa: F403
from .layers.dropout import *  # noqa: F403
from .layers.embedding import *  # noqa: F403
from .layers.linear import *  # noqa: F403
from .layers.loss import *  # noqa: F403
from .layers.normalization import *  # noqa: F403
from .layers.padding import *  # noqa: F403
from .layers.pooling import *  # noqa: F403
from .layers.rnn import *  # noqa: F403
from .layers.shape import *  # noqa: F403
from .layers.transformer import *  # noqa: F403
from .module import Module as Module
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .parameter import UninitializedBuffer as UninitializedBuffer
from .parameter import UninitializedParameter as UninitializedParameter

# isort: split
from . import modules as modules  # noqa: E402
from . import parameter as parameter  # noqa: E402
from . import utils as utils  # noqa: E402
