"""What a parser may do with an input: bounded time and memory, nothing outside its folder, no program, no warning."""

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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from fuzz.mutations import CANARY
from pisnn_deploy.core.errors import PisnnError

LARGEST_SECONDS = 2.0
"""Most processor time for one input."""
LARGEST_WAIT = 60.0
"""Seconds by the clock: a parser that waits uses no processor."""
LARGEST_GROWTH = 1 << 28
"""Bytes by which the resident memory may grow for one input."""
LARGEST_ADDRESSES = 3 << 30
"""Bytes of addresses that one input may add."""
LONGEST_MESSAGE = 4000
"""Characters, without the path: a recipe tells everything that is wrong with it at once."""

READABLE = ("/proc/self/statm", "/proc/self/status", "/proc/meminfo", os.devnull)
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn")
_EFFECTS = (*_PROGRAMS, "socket.connect", "socket.bind", "ctypes.dlopen", "webbrowser.open", "shutil.rmtree")
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


class TooSlow(BaseException):
    """The alarm rang. No parser must catch it."""


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    verdict : str
        ``accepted``, ``refused`` or ``offending``.
    text : str
        The message of a refusal, or what the offence was.
    seconds : float
        Of processor time.
    growth : int
        Bytes by which the resident memory grew at most.
    """

    verdict: str
    text: str
    seconds: float
    growth: int


class Guard:
    """Watches this process while it parses. It can be put up once and not taken down: Python's hooks are for ever.

    Parameters
    ----------
    folder : Path
        Where inputs lie; the only place that may be read and written.
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
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, _ring)
        sys.addaudithook(self._audit)

    def judge(self, parse: Callable[[Path], object], path: Path) -> Outcome:
        """Parse one input."""
        self._offences = []
        before = _reset_peak()
        started = time.process_time()
        verdict, text = self._parsed(parse, path)
        seconds = time.process_time() - started
        growth = max(0, _memory("VmHWM") - before)
        if (Path(self._folder) / CANARY).exists():
            (Path(self._folder) / CANARY).unlink()
            self._offences.append("a program of the input was run")
        if seconds > LARGEST_SECONDS:
            self._offences.append(f"took {seconds:.1f} s")
        if growth > LARGEST_GROWTH:
            self._offences.append(f"took {growth >> 20} MiB")
        if self._offences:
            texts = [text] if verdict == "offending" else []
            verdict, text = "offending", "; ".join([*texts, *self._offences])
        return Outcome(verdict, text, seconds, growth)

    def _parsed(self, parse: Callable[[Path], object], path: Path) -> tuple[str, str]:
        signal.setitimer(signal.ITIMER_PROF, 2 * LARGEST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, LARGEST_WAIT)
        self._active = True
        try:
            with warnings.catch_warnings(), _silence() as printed:
                warnings.simplefilter("error")
                parse(path)
            if printed:
                return "offending", f"printed {printed[0][:80]!r}"
            return "accepted", ""
        except PisnnError as error:
            text = str(error).replace(str(path), "FILE")
            if error.exit_code != 2:
                return "offending", f"exit code {error.exit_code}: {text[:200]}"
            if len(text) > LONGEST_MESSAGE or not text.isprintable():
                return (
                    "offending",
                    f"a message of {len(text)} characters or several lines: {text[:80]!r}",
                )
            return "refused", text
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            frames = traceback.extract_tb(error.__traceback__)
            place = next((f for f in reversed(frames) if "pisnn_deploy" in f.filename), frames[-1])
            message = str(error)[:120]
            return "offending", f"{type(error).__name__} in {Path(place.filename).name}:{place.name}: {message}"
        finally:
            self._active = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)

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


def _ring(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"still at work after {LARGEST_WAIT if number == signal.SIGALRM else 2 * LARGEST_SECONDS:g} s")


@contextlib.contextmanager
def _silence() -> Any:
    """Catch what Python code prints; the list holds it."""
    printed: list[str] = []

    class Heard:
        def write(self, text: str) -> int:
            if text.strip():
                printed.append(text)
            return len(text)

        def flush(self) -> None:
            pass

    with contextlib.redirect_stdout(Heard()), contextlib.redirect_stderr(Heard()):
        yield printed


def _memory(key: str) -> int:
    """Bytes that the system counts for this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def _reset_peak() -> int:
    """Forget the largest memory so far; what is taken now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")
