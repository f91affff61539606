"""Where programs may write."""

import os
import tempfile


def get_writable_path(path):
    """``path`` if it can be written to, else a new temporary folder."""
    if os.access(path, os.W_OK):
        return path
    return tempfile.mkdtemp(suffix=os.path.basename(path))
