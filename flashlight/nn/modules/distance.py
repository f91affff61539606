"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.distance import CosineSimilarity as CosineSimilarity
from ..layers.distance import PairwiseDistance as PairwiseDistance
