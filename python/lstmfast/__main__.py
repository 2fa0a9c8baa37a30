"""`python -m lstmfast` is the `lstmfast` command."""

import sys

from lstmfast._cli import main

sys.exit(main())
