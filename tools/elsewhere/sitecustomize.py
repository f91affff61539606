"""On PYTHONPATH: flashlight is what comes first there, not the checkout.

The finder of an editable installation would come before all of PYTHONPATH, also in
processes that tests start.
"""

import sys

sys.meta_path[:] = [
    finder
    for finder in sys.meta_path
    if type(finder).__name__ != "ScikitBuildRedirectingFinder"
]
