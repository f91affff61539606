"""``torch._lazy``: PyTorch's lazy device, which raises where it is used.

Every tensor here is lazy already, on the device that it is on.
"""

from flashlight._lazy import ts_backend  # noqa: F401
