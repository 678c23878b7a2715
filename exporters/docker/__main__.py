"""`python -m exporters.docker`. Nothing but the call."""

import sys

from exporters.docker import cli

sys.exit(cli.main())
