"""Wheel and source distribution whose bytes depend on the tree and the time of its commit alone."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o644, 0o755
"""Modes of all members, whatever the umask of the builder is."""


def commit_time(checkout: Path) -> int:
    """Time of the last commit, in seconds since 1970: the ``SOURCE_DATE_EPOCH`` of all builds."""
    return int(_output(checkout, "git", "log", "-1", "--format=%ct"))


def export_commit(checkout: Path, tree: Path) -> None:
    """Write the last commit, and nothing else of a checkout, into a new folder."""
    content = subprocess.run(["git", "archive", "HEAD"], cwd=checkout, capture_output=True, check=True).stdout
    tree.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(tree)  # our own commit


def build(tree: Path, target: Path, epoch: int, *kinds: str) -> tuple[Path, ...]:
    """Build distributions.

    Parameters
    ----------
    tree : Path
        Sources; the modes of its files are set.
    target : Path
        Folder for the distributions, created if missing.
    epoch : int
        Time of every file in them.
    *kinds : str
        ``wheel`` and ``sdist``; both by default.

    Returns
    -------
    tuple of Path
        Distributions, sorted by name.

    Raises
    ------
    subprocess.CalledProcessError
        The build failed; its output is on stderr.
    """
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
    words = [f"--{kind}" for kind in kinds or ("sdist", "wheel")]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONPATH", None)
    words = [sys.executable, "-m", "build", "--no-isolation", *words, "-o", str(target), "."]
    _output(tree, *words, environment=environment)
    for sdist in target.glob("*.tar.gz"):
        sdist.write_bytes(_reproducible(sdist.read_bytes(), epoch))
    return tuple(sorted(target.iterdir()))


def _reproducible(content: bytes, epoch: int) -> bytes:
    """Pack a ``.tar.gz`` again, without times, owners and order of the machine that made it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as source, tarfile.open(fileobj=packed, mode="w") as target:
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.size, plain.linkname, plain.mtime = member.type, member.size, member.linkname, epoch
            plain.mode = FOLDER_MODE if member.isdir() else FILE_MODE
            target.addfile(plain, source.extractfile(member) if member.isfile() else None)
    zipped = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=zipped, mtime=epoch) as stream:
        stream.write(packed.getvalue())
    return zipped.getvalue()


def _output(folder: Path, *words: str, environment: dict[str, str] | None = None) -> str:
    # The umask sets the modes of copies that the build makes.
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False, umask=0o777 - FOLDER_MODE
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
    return done.stdout
