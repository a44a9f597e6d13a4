"""``python -m frontier``: see `frontier.cli`."""

import sys

from frontier.cli import main

sys.exit(main())
