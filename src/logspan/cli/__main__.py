"""`python -m logspan.cli`."""

import sys

from logspan.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
