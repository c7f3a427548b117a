"""The ``wcodec`` command, for the console script."""

import signal
import sys

from ._wcodec import main as _main


def main() -> int:
    """Runs the command with the arguments of this process; gives its exit code."""
    # As for any other command: a closed pipe or Ctrl-C before the work begins just ends it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _main(["wcodec", *sys.argv[1:]])
