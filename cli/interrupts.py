"""Ctrl-C at any time: the command cleans up, prints one word and exits with 130."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130
_IMPORTER = "<frozen importlib._bootstrap>"
_AGAIN_SECONDS = 0.02
_LONGEST_IMPORT_SECONDS = 2.0


class Interrupts:
    """Turns SIGINT into `KeyboardInterrupt` where code can handle it.

    Libraries mishandle it during their import: they print it, replace it, or continue half loaded. So once the command
    has begun, it waits for the end of the import; before that, and at a second SIGINT, the process ends at once. An
    interrupt that destructors or callbacks swallow is raised again.

    Attributes
    ----------
    has_begun : bool
        Whether the command may have left something that is to be ended or cleared away.
    happened : bool
        Whether SIGINT has come.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self.happened = False
        self._is_over = False
        self._came = 0.0

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Handle SIGINT within the context, unless it was ignored or this is not the main thread."""
        before = signal.getsignal(signal.SIGINT)
        if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
            yield
            return
        self.has_begun = self.happened = self._is_over = False
        alarm, hook = signal.signal(signal.SIGALRM, self._again), sys.unraisablehook
        sys.unraisablehook = _quietly(hook, self._once_more)
        signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = hook
            signal.signal(signal.SIGALRM, alarm)
            signal.signal(signal.SIGINT, before)

    def end(self) -> None:
        """Stop raising: the command has ended."""
        self._is_over = True

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_over:
            return
        if (self.happened or not self.has_begun) and _is_importing(frame):
            os.write(2, b"interrupted\n")
            os._exit(INTERRUPTED)
        self.happened, self._came = True, time.monotonic()
        self._raise_or_wait(frame)

    def _again(self, number: int, frame: FrameType | None) -> None:
        if not self._is_over:
            self._raise_or_wait(frame)

    def _raise_or_wait(self, frame: FrameType | None) -> None:
        if _is_importing(frame) and time.monotonic() < self._came + _LONGEST_IMPORT_SECONDS:
            self._once_more()
            return
        raise KeyboardInterrupt

    def _once_more(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)


def _quietly(hook: Callable[[Any], Any], once_more: Callable[[], None]) -> Callable[[Any], Any]:
    def unraisable(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            once_more()
        else:
            hook(lost)

    return unraisable


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTER:
            return True
        frame = frame.f_back
    return False
