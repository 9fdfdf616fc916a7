"""`python -m ltx` is `ltx`."""

import sys

from ltx.cli.main import main

sys.exit(main())
