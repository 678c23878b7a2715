"""``python -m bridge``: the same as the console script ``hemostat``."""

import sys

from bridge.cli import main

sys.exit(main())
