"""Where the environments of other people's clients are: `make test-clients` makes them, and names the folder."""

import os
from pathlib import Path

CLIENTS = Path(os.environ.get("MULL_CLIENTS", Path(__file__).parents[1] / ".clients"))
