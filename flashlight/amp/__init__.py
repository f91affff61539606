"""``torch.amp``: mixed precision."""

from flashlight.amp.autocast_mode import (  # noqa: F401
    autocast,
    autocast_decorator,
    custom_bwd,
    custom_fwd,
    is_autocast_available,
)
from flashlight.amp.grad_scaler import GradScaler  # noqa: F401
