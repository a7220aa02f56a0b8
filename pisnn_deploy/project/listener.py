"""Callbacks that report on a run or a training while it goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """Called with the number of steps done so far, and perhaps what to show beside it."""

    def __call__(self, done: int, note: str = "") -> None:
        """Report progress."""


@contextmanager
def _unseen(title: str, total: int) -> Iterator[Progress]:
    """Discard progress."""
    yield lambda done, note="": None


@dataclass(frozen=True)
class Listener:
    """Callbacks that report on a run or a training while it goes on.

    Attributes
    ----------
    progress : callable
        Called with a title and a total; returns a context that gives a `Progress`.
    say : callable
        Called with a sentence for the user.
    """

    progress: Callable[[str, int], AbstractContextManager[Progress]] = _unseen
    say: Callable[[str], None] = lambda sentence: None


UNHEARD = Listener()
"""Listener that discards everything."""


def listener_of(progress: Callable[[int], None] | None) -> Listener:
    """Listener for the Python API: calls the given function, and issues Python warnings."""

    def warn(sentence: str) -> None:
        warnings.warn(sentence.removeprefix("warning: "), stacklevel=3)

    if progress is None:
        return Listener(_unseen, warn)

    def report(done: int, note: str = "") -> None:
        progress(done)

    return Listener(lambda title, total: nullcontext(report), warn)
