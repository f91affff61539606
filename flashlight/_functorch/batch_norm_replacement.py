"""Batch norms for ``vmap``, under the name that ``functorch`` imports it by."""

from flashlight.func import replace_all_batch_norm_modules_

__all__ = ["replace_all_batch_norm_modules_"]
