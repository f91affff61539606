"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.embedding import Embedding as Embedding
from ..layers.embedding import EmbeddingBag as EmbeddingBag
