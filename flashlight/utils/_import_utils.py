"""Whether modules are installed."""

import importlib.util


def _check_module_exists(name):
    """Whether a module of that name can be found; it is not imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
