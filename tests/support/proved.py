"""The checker extracted from the proofs, built once for all processes."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROOFS = ROOT / "proofs"


@cache
def built() -> Path:
    """Folder with the compiled proofs, ``assumptions.txt`` and the program ``checker``."""
    assert shutil.which("coqc") and shutil.which("ocamlfind"), "run `make proofs` first: it installs Debian's coq"
    folder = ROOT / "build" / "proofs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            ["make", "--no-print-directory", "-C", PROOFS, f"OUT={folder}"], capture_output=True, text=True, check=False
        )
    assert made.returncode == 0, made.stderr
    return folder


def answers(mode: str, text: str) -> list[str]:
    """Lines that the checker answers to a text.

    Parameters
    ----------
    mode : str
        ``check`` for plain forms, ``run`` for programs.
    """
    done = subprocess.run([built() / "checker", mode], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
