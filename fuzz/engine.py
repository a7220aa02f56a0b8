"""Run targets with libFuzzer (atheris), each in a fork of one process that has everything loaded."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import mmap
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzz.oracle import Oracle, Outcome
from fuzz.target import Change, Mutate, Target, committed_seeds, load_target
from pisnn_deploy.core.errors import PisnnError

COUNTED = ("pisnn_deploy",)
"""Packages whose branches guide the mutations."""
NOT_COUNTED = ("pisnn_deploy.compiler", "pisnn_deploy.runs.kernels", "pisnn_deploy.core.arithmetic")
"""The compiler reads no files, and neither do kernels."""
LONGEST_START = 120.0
"""Seconds that a process may take beyond its share before it is killed: seeds are made, a library hangs."""
LONGEST_WAIT = 100.0
"""Seconds by the clock for one input; what is at work is stopped by its processor time."""
MOST_CRASHES = 20
"""After which a target is given up."""
NOT_SOUND = 3
"""Exit code of a process whose seeds are not accepted."""
_FIELDS = ("accepted", "refused", "offending", "microseconds", "growth")
_STATUS = re.compile(r"cov: (\d+) ft: (\d+)")
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")


@dataclass
class Tally:
    """Counts of a target's inputs and their outcomes.

    Attributes
    ----------
    seconds, processor : float
        Wall-clock time of libFuzzer, and processor time of its processes.
    executions, accepted, refused : int
        Inputs.
    edges, features, corpus : int
        Branches that were reached, combinations of their counts, and inputs that were kept for reaching them.
    slowest : float
        Processor seconds of one input at most.
    growth : int
        Bytes by which one input raised the largest memory at most.
    offences : dict of str to str
        File name of an input to what was wrong with it.
    """

    seconds: float
    processor: float
    executions: int
    accepted: int
    refused: int
    edges: int
    features: int
    corpus: int
    slowest: float
    growth: int
    offences: dict[str, str]

    @classmethod
    def none(cls) -> Tally:
        """Empty tally."""
        return cls(0.0, 0.0, 0, 0, 0, 0, 0, 0, 0.0, 0, {})

    def added(self, later: Tally) -> Tally:
        """Add the tally of a later run, whose corpus includes the earlier one."""
        return Tally(
            self.seconds + later.seconds,
            self.processor + later.processor,
            self.executions + later.executions,
            self.accepted + later.accepted,
            self.refused + later.refused,
            max(self.edges, later.edges),
            max(self.features, later.features),
            later.corpus,
            max(self.slowest, later.slowest),
            max(self.growth, later.growth),
            later.offences,
        )


@dataclass(frozen=True)
class Prepared:
    """A target with its seeds.

    Attributes
    ----------
    made : tuple of bytes
        Seeds made by the target; its reader must accept them.
    committed : tuple of bytes
        Seeds in the repository; none may be offending.
    """

    name: str
    target: Target
    made: tuple[bytes, ...]
    committed: tuple[bytes, ...]


def prepare(names: Sequence[str], *, counted: bool) -> list[Prepared]:
    """Load targets and their readers, and make their seeds.

    Parameters
    ----------
    counted : bool
        Whether to count branches, which needs atheris.
    """
    if counted:
        atheris: Any = importlib.import_module("atheris")
        with (
            _quiet(),
            atheris.instrument_imports(include=list(COUNTED), exclude=list(NOT_COUNTED), enable_loader_override=False),
        ):
            targets = {name: load_target(name) for name in names}
    else:
        targets = {name: load_target(name) for name in names}
    prepared = []
    with tempfile.TemporaryDirectory(prefix="pisnn-fuzzing-") as folder:
        for name, target in targets.items():
            work = Path(folder, name)
            work.mkdir()
            with contextlib.redirect_stdout(None), _quiet():
                made = tuple(target.seeds(work))
            prepared.append(Prepared(name, target, made, tuple(committed_seeds(name).values())))
    return prepared


def run_target(prepared: Prepared, seconds: float, folder: Path, seed: int = 0, inputs: int = -1) -> Tally:
    """Fuzz one target, or only judge its seeds.

    Parameters
    ----------
    seconds : float
        Duration; 0 judges only the seeds.
    folder : Path
        Folder of its corpus and offending inputs; existing ones are reused.
    seed : int
        Seed of libFuzzer; 0 for the time.
    inputs : int
        Number of inputs to stop at; -1 for no limit but the time.
    """
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    (folder / "offending").mkdir(exist_ok=True)
    counts = counts_of_judge()
    log, spent, processor, executions, edges, features = folder / "log", 0.0, 0.0, 0, 0, 0
    for crash in range(1, MOST_CRASHES + 1):
        process = os.fork()
        if process == 0:
            _drive(prepared, seconds - spent, folder, counts, (f"-seed={seed}", f"-runs={inputs}"))
        begun = time.monotonic()
        code, took = _waited(process, seconds - spent + LONGEST_START)
        processor += took
        lines = log.read_text(errors="replace")
        if code == NOT_SOUND:
            raise SystemExit(f"{prepared.name}: {lines.splitlines()[-1]}")
        done = _DONE.search(lines)
        spent += int(done[2]) if done else time.monotonic() - begun
        executions += int(done[1]) if done else 0
        for reached in _STATUS.findall(lines):
            edges, features = max(edges, int(reached[0])), max(features, int(reached[1]))
        if code != 0 and not prepared.target.is_apart:
            (folder / "work" / prepared.target.file_name).rename(folder / "offending" / f"crash-{crash}.input")
            report = f"ended the process ({code})\n{lines[-2000:]}"
            (folder / "offending" / f"crash-{crash}.txt").write_text(report)
        if code == 0 or spent >= seconds:
            break
    accepted, refused, _, microseconds, growth = counts.tolist()
    corpus = len(list((folder / "corpus").iterdir()))
    counted = max(executions, accepted + refused)
    offences = offences_in(folder)
    return Tally(
        seconds=spent,
        processor=processor,
        executions=counted,
        accepted=accepted,
        refused=refused,
        edges=edges,
        features=features,
        corpus=corpus,
        slowest=microseconds / 1e6,
        growth=growth,
        offences=offences,
    )


def counts_of_judge() -> Any:
    """Counts in memory shared by a judge and the waiting process."""
    return np.frombuffer(mmap.mmap(-1, 8 * len(_FIELDS)), np.int64)


def offences_in(folder: Path) -> dict[str, str]:
    """Offending inputs in a target's folder, with the reason of each."""
    return {path.stem: path.read_text().split("\n")[0] for path in sorted((folder / "offending").glob("*.txt"))}


def _waited(process: int, seconds: float) -> tuple[int, float]:
    """Exit code of a process (negative for a signal) and its processor seconds; it is killed after a time limit."""
    until = time.monotonic() + seconds
    while True:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        if time.monotonic() > until:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def _drive(prepared: Prepared, seconds: float, folder: Path, counts: Any, options: tuple[str, ...]) -> None:
    """Run the forked process; never returns."""
    code = 1
    sys.dont_write_bytecode = True  # bytecode of a late import must not count as a written file
    try:
        descriptor = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)  # pytest replaces it
        folder = folder.resolve()
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        os.chdir(work)
        judge = Judge(prepared.target, work / prepared.target.file_name, folder / "offending", counts)
        for content in prepared.made:
            judge.warm_up(content)
        judge.begin(work)
        seeds = prepared.committed if seconds > 0 else (*prepared.made, *prepared.committed)
        for content in (*judge.offending_before(), *seeds):
            judge(content)
        if seconds > 0:
            _fuzz(prepared, seconds, folder, judge, options)
        code = 0
    except SystemExit as ended:  # raised by libFuzzer at its end
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def _fuzz(prepared: Prepared, seconds: float, folder: Path, judge: Judge, options: tuple[str, ...]) -> None:
    atheris: Any = importlib.import_module("atheris")
    target, work = prepared.target, Path.cwd()
    seeds = work / "seeds"
    seeds.mkdir()
    for number, content in enumerate((*prepared.made, *prepared.committed)):
        (seeds / str(number)).write_bytes(content)
    # libFuzzer stops in the second after that time.
    arguments = [
        "fuzz",
        f"-max_total_time={max(1, round(seconds) - 1)}",
        f"-max_len={target.size}",
        *options,
        f"-artifact_prefix={folder / 'offending'}/",
        f"-timeout={round(LONGEST_WAIT)}",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
    ]
    if target.words:
        spelled = ("".join(f"\\x{byte:02X}" for byte in word) for word in target.words)
        (work / "words").write_text("".join(f'"{word}"\n' for word in spelled))
        arguments.append(f"-dict={work / 'words'}")
    arguments += [str(folder / "corpus"), str(seeds)]

    def one(content: bytes) -> None:
        judge(content)

    mutate = target.mutate
    if mutate is None:
        atheris.Setup(arguments, one)
    else:
        # `Fuzz` replaces the function, so look it up each time.
        atheris.Setup(
            arguments, one, custom_mutator=_safely(mutate, lambda part, most: bytes(atheris.Mutate(part, most)))
        )
    atheris.Fuzz()


def _safely(mutate: Mutate, change: Change) -> Callable[[bytes, int, int], bytes]:
    """Wrap a mutation for atheris: it may fail on inputs that earlier mutations broke."""

    def mutated(content: bytes, most: int, seed: int) -> bytes:
        try:
            made = mutate(Random(seed), content, change)
        except Exception:
            return change(content, most)
        return made if len(made) <= most else change(content, most)

    return mutated


class Judge:
    """Runs a target's reader on inputs, counts the outcomes, and keeps one input of each offence.

    Parameters
    ----------
    path : Path
        File in which each input is stored.
    kept : Path
        Folder for offending inputs.
    counts : int64 array
        In memory shared with the waiting process.
    """

    def __init__(self, target: Target, path: Path, kept: Path, counts: Any) -> None:
        self._target, self._path, self._kept, self._counts = target, path, kept, counts
        self._oracle: Oracle | None = None

    def warm_up(self, content: bytes) -> None:
        """Read a seed once, so that loading modules at first use does not count as an offence."""
        self._path.write_bytes(content)
        try:
            self._target.read(self._path)
            self._path.write_bytes(content[: len(content) // 2])
            with contextlib.suppress(PisnnError):  # a refusal loads the code that prints it
                self._target.read(self._path)
        except BaseException as error:
            traceback.print_exc()
            print(f"a seed is not accepted: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(NOT_SOUND)

    def begin(self, folder: Path) -> None:
        """Start watching the process."""
        self._oracle = Oracle(folder)

    def offending_before(self) -> list[bytes]:
        """Offending inputs of earlier runs; they are removed, to be judged again."""
        contents = []
        for report in self._kept.glob("*.txt"):
            kept = report.with_suffix(".input")
            if kept.exists():
                contents.append(kept.read_bytes())
                kept.unlink()
                report.unlink()
        return contents

    def __call__(self, content: bytes) -> Outcome:
        """Judge one input."""
        assert self._oracle is not None
        self._path.write_bytes(content)
        outcome = self._oracle.judge(self._target.read, self._path)
        self._count(outcome)
        if outcome.verdict == "offending":
            self._keep(content, outcome.text)
        return outcome

    def _count(self, outcome: Outcome) -> None:
        self._counts[_FIELDS.index(outcome.verdict)] += 1
        self._counts[3] = max(int(self._counts[3]), round(1e6 * outcome.seconds))
        self._counts[4] = max(int(self._counts[4]), outcome.growth)

    def _keep(self, content: bytes, offence: str) -> None:
        """Keep one input for each kind of offence; offences that differ only in numbers and text are one kind."""
        kind = re.sub(r"'.*?'|\".*?\"|-?\d+", "", offence.split(": ", 1)[0] + offence[:120])
        key = hashlib.sha256(kind.encode(errors="replace")).hexdigest()[:12]
        report = self._kept / f"{key}.txt"
        if not report.exists():
            (self._kept / f"{key}.input").write_bytes(content)
            report.write_text(ascii(offence)[1:-1] + "\n")


@contextlib.contextmanager
def _quiet() -> Any:
    """Silence atheris, which prints a line for each instrumented module."""
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
