"""`python -m ltx` is `ltx`."""

import sys

from ltx.cli import main

sys.exit(main())
