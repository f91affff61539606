"""PyTorch's import path of Module and the hooks of all modules."""

# flake8: noqa: F401

from .._global_hooks import _WrappedHook as _WrappedHook
from .._global_hooks import (
    register_module_backward_hook as register_module_backward_hook,
)
from .._global_hooks import (
    register_module_buffer_registration_hook as register_module_buffer_registration_hook,
)
from .._global_hooks import register_module_forward_hook as register_module_forward_hook
from .._global_hooks import (
    register_module_forward_pre_hook as register_module_forward_pre_hook,
)
from .._global_hooks import (
    register_module_full_backward_hook as register_module_full_backward_hook,
)
from .._global_hooks import (
    register_module_full_backward_pre_hook as register_module_full_backward_pre_hook,
)
from .._global_hooks import (
    register_module_module_registration_hook as register_module_module_registration_hook,
)
from .._global_hooks import (
    register_module_parameter_registration_hook as register_module_parameter_registration_hook,
)
from ..module import Module as Module
from ..module import _IncompatibleKeys as _IncompatibleKeys
