"""File names: their printed form must be safe for terminals and CI logs."""

import os
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from fuzz.compiled import printed, profile_named, require_printable, small_graph
from fuzz.oracle import require
from fuzz.target import Target, literal
from pisnn_deploy.checks import check
from pisnn_deploy.checks.formats import FORMATS
from pisnn_deploy.checks.outcome import Outcome
from pisnn_deploy.checks.rules import RULES
from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.core.errors import FileError

STARTS = ("::error file=", "::warning file=", "::notice file=", "checked ")


def _read(path: Path) -> None:
    name = os.fsdecode(path.read_bytes()[:200].replace(b"/", b"").replace(b"\0", b"") or b"x")
    name = "x" if name in (".", "..") else name  # folders
    require_printable(printed(print_table, name, [(name, name)], ("name", "name")))
    require_printable(printed(print_json, {name: name}))
    require_printable(f"error: {FileError(name, f'has {name}', field=name)}")
    outcome = Outcome(PurePosixPath(name), _report(), RULES)
    for form, write in FORMATS.items():
        text = write([outcome, outcome])
        text.encode()
        if form != "github":
            require_printable(text)
        for line in text.splitlines() if form == "github" else ():
            require(line.isprintable() and line.startswith(STARTS), f"a command of a CI: {ascii(line)[:100]}")


@lru_cache(maxsize=1)
def _report() -> Any:
    return check(small_graph(), profile_named("loihi2"))


SEEDS = (b"heat.pisnn", "W\u00e4rme [red]x[/red].pisnn".encode(), b"a\n::error file=x::planted", b"##[error]%0A")
TARGET = Target(
    "input.txt", _read, literal(*SEEDS), words=("\u202e".encode(), b"\x1b[2J", b"\xc2\x9b", b"::error::"), size=200
)
