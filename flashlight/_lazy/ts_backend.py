"""The TorchScript backend of the lazy device."""


def init():
    """Prepare the backend: there is none, and the device itself raises."""
