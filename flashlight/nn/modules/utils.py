"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers._utils import _list_with_default as _list_with_default
from ..layers._utils import _ntuple as _ntuple
from ..layers._utils import _pair as _pair
from ..layers._utils import _quadruple as _quadruple
from ..layers._utils import _reverse_repeat_tuple as _reverse_repeat_tuple
from ..layers._utils import _single as _single
from ..layers._utils import _triple as _triple
from ..layers._utils import (
    consume_prefix_in_state_dict_if_present as consume_prefix_in_state_dict_if_present,
)
