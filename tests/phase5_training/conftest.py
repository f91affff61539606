"""Makes the helpers beside the tests, and those of the layers', importable."""

import sys
from pathlib import Path

here = Path(__file__).parent
for folder in (here, here.parent / "phase4_nn_modules"):
    sys.path.insert(0, str(folder))
