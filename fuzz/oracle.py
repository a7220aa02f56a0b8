"""Judge a reader: it may accept an input or refuse it in one line, within limits, and do nothing else."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import sysconfig
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pisnn_deploy.core.errors import LONGEST_LINE, PisnnError

LARGEST_SECONDS = 4.0
"""Most processor time for one input. Code that counts its branches takes about twice the time."""
LARGEST_GROWTH = 1 << 28
"""Bytes by which one input may raise the largest resident memory of the process."""
LARGEST_ADDRESSES = 3 << 30
"""Bytes of addresses that all inputs together may add."""
MOST_LINES = 100
"""Lines of a refusal: a recipe tells at once what is wrong with it."""
CANARY = "pisnn-fuzzing-canary"
"""File that malicious seeds try to make in the current folder."""

READABLE = ("/proc/self/statm", "/proc/self/status", "/proc/meminfo", os.devnull)
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn")
_EFFECTS = (*_PROGRAMS, "socket.connect", "socket.bind", "ctypes.dlopen", "webbrowser.open", "shutil.rmtree")
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


class TooSlow(BaseException):
    """Raised by the alarm; no reader may catch it."""


class Offence(AssertionError):
    """A reader accepted a malformed input, or cannot read back what it accepted."""


@dataclass(frozen=True)
class Outcome:
    """Result of one input.

    Attributes
    ----------
    verdict : str
        ``accepted``, ``refused`` or ``offending``.
    text : str
        Message of the refusal, or the offence.
    seconds : float
        Processor time.
    growth : int
        Bytes by which the largest resident memory of the process grew.
    """

    verdict: str
    text: str
    seconds: float
    growth: int


class Oracle:
    """Watches this process while it reads. It cannot be removed: Python's audit hooks are permanent.

    Parameters
    ----------
    folder : Path
        The only folder that may be read and written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        paths = sysconfig.get_paths()
        self._libraries = tuple(
            os.path.realpath(path)
            for path in (*paths.values(), sys.base_prefix, sys.prefix, str(Path(__file__).parents[1]), *sys.path)
            if path
        )
        self._active = False
        self._offences: list[str] = []
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limits = [addresses + LARGEST_ADDRESSES, *(x for x in (soft, hard) if x != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
        signal.signal(signal.SIGPROF, _ring)
        sys.addaudithook(self._audit)

    def judge(self, read: Callable[[Path], object], path: Path) -> Outcome:
        """Read one input.

        Parameters
        ----------
        read : callable
            Returns, or raises an error of this package that ends with exit code 2.
        path : Path
            The input.
        """
        self._offences = []
        before = _largest_memory()
        started = time.process_time()
        verdict, text = self._read(read, path)
        seconds = time.process_time() - started
        growth = _largest_memory() - before
        canary = Path(self._folder) / CANARY
        if canary.exists():
            canary.unlink()
            self._offences.append("a program of the input was run")
        if seconds > LARGEST_SECONDS:
            self._offences.append(f"took {seconds:.1f} s")
        if growth > LARGEST_GROWTH:
            self._offences.append(f"took {growth >> 20} MiB")
        if self._offences:
            texts = [text] if verdict == "offending" else []
            verdict, text = "offending", "; ".join([*texts, *self._offences])
        return Outcome(verdict, text, seconds, growth)

    def _read(self, read: Callable[[Path], object], path: Path) -> tuple[str, str]:
        signal.setitimer(signal.ITIMER_PROF, 2 * LARGEST_SECONDS)
        # An exception cannot stop a library that hangs; this signal ends the process.
        signal.setitimer(signal.ITIMER_VIRTUAL, 3 * LARGEST_SECONDS)
        self._active = True
        try:
            with warnings.catch_warnings(), _captured_output() as printed:
                warnings.simplefilter("error")
                read(path)
            if printed:
                return "offending", f"printed {printed[0][:80]!r}"
            return "accepted", ""
        except PisnnError as error:
            text = str(error).replace(str(path), "FILE")
            if error.exit_code != 2:
                return "offending", f"exit code {error.exit_code}: {text[:200]}"
            lines = [str(part).replace(str(path), "FILE") for part in error.parts]
            if len(lines) > MOST_LINES or not all(line.isprintable() for line in lines):
                return "offending", f"a message of several lines: {text[:80]!r}"
            if max(map(len, lines)) > LONGEST_LINE + 5:
                return "offending", f"a line of {max(map(len, lines))} characters: {text[:80]!r}"
            return "refused", text
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return "offending", _described(error)
        finally:
            self._active = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active:
            return
        if event == "open":
            self._opened(*arguments[:3])
        elif (
            event in _EFFECTS
            or event.startswith(("os.exec", "os.spawn"))
            or (event in _CHANGES and not self._is_within(arguments[0], (self._folder,)))
        ):
            self._offences.append(f"{event} {arguments!r:.100}")

    def _opened(self, path: Any, mode: str | None, flags: int) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)) if isinstance(flags, int) else False
        if self._is_within(path, (self._folder,)):
            return
        name = os.fsdecode(path)
        if writes or not (name in READABLE or self._is_within(path, self._libraries)):
            self._offences.append(f"opened {name[:100]} to {'write' if writes else 'read'}")

    def _is_within(self, path: Any, folders: tuple[str, ...]) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return True
        name = os.path.realpath(os.fsdecode(path))
        return any(name == folder or name.startswith(folder + os.sep) for folder in folders)


def require(holds: object, offence: str) -> None:
    """Raise an offence unless a condition holds."""
    if not holds:
        raise Offence(offence)


def _described(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f for f in reversed(frames) if "pisnn_deploy" in f.filename), frames[-1])
    return f"{type(error).__name__} in {Path(place.filename).name}:{place.name}: {str(error)[:200]}"


def _ring(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"still at work after {2 * LARGEST_SECONDS:g} s of processor time")


@contextlib.contextmanager
def _captured_output() -> Iterator[list[str]]:
    """Capture the output of Python code in a list."""
    printed: list[str] = []

    class Capture:
        def write(self, text: str) -> int:
            if text.strip():
                printed.append(text)
            return len(text)

        def flush(self) -> None:
            pass

    capture: Any = Capture()
    with contextlib.redirect_stdout(capture), contextlib.redirect_stderr(capture):
        yield printed


def _largest_memory() -> int:
    """Largest memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
