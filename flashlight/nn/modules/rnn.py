"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.rnn import GRU as GRU
from ..layers.rnn import LSTM as LSTM
from ..layers.rnn import RNN as RNN
from ..layers.rnn import GRUCell as GRUCell
from ..layers.rnn import LSTMCell as LSTMCell
from ..layers.rnn import RNNBase as RNNBase
from ..layers.rnn import RNNCell as RNNCell
from ..layers.rnn import RNNCellBase as RNNCellBase
