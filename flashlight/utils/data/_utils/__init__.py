"""Parts of the loader: collating, fetching, workers, transport."""

from . import collate as collate
from . import exception as exception
from . import fetch as fetch
from . import transport as transport
from . import worker as worker

# Seconds between looks at whether the other process is still alive.
MP_STATUS_CHECK_INTERVAL = 5.0
