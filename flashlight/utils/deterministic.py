"""``fill_uninitialized_memory``: what is in memory that nobody has written to.

True, and in deterministic mode, it is NaN, or the largest integer; else it has no
meaning.
"""

import sys
import types

from flashlight import _C


class _Deterministic(types.ModuleType):
    @property
    def fill_uninitialized_memory(self):
        return _C._get_deterministic_fill_uninitialized_memory()

    @fill_uninitialized_memory.setter
    def fill_uninitialized_memory(self, mode):
        _C._set_deterministic_fill_uninitialized_memory(mode)


sys.modules[__name__].__class__ = _Deterministic
