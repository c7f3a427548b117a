"""``python -m wcodec`` is the ``wcodec`` command."""

import sys

from ._cli import main

sys.exit(main())
