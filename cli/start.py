"""Where the command begins; to be imported by nothing else: importing it decides how Ctrl-C is answered.

Whatever is imported before the handler stands shows a traceback instead.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # as typing's, which takes long to import
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End at once: nothing has begun that would have to be ended."""
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is in a shell's background jobs
    signal.signal(signal.SIGINT, _leave)


def main() -> None:
    """Run the command line and exit."""
    from pisnn_deploy.cli.main import main as run

    try:
        run()
    except KeyboardInterrupt:
        _leave(signal.SIGINT, None)
    finally:
        # What is left is Python's own clearing up, which Ctrl-C would fill with tracebacks.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()
