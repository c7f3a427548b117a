"""``python -m wcodec`` is the ``wcodec`` command."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
