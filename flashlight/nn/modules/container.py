"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.container import Container as Container
from ..layers.container import ModuleDict as ModuleDict
from ..layers.container import ModuleList as ModuleList
from ..layers.container import ParameterDict as ParameterDict
from ..layers.container import ParameterList as ParameterList
from ..layers.container import Sequential as Sequential
