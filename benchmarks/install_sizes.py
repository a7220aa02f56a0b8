"""Size and install time of the core and of each extra, in new environments: writes docs/how-to/install.md.

Each environment runs the commands that its extra provides; that of the core also runs those that need an extra. Called
with names of extras, the script measures only these and prints the rows.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "how-to" / "install.md"
MARKS = ("<!-- sizes -->", "<!-- /sizes -->")
CORE = ""
HEAT = ("compile", "heat1d", "--mesh", "64", "-q", "-o", "heat.pisnn")
WORKS: dict[str, tuple[tuple[str, ...], ...]] = {
    CORE: (
        HEAT,
        ("verify", "heat.pisnn"),
        ("check", "heat.pisnn", "--profile", "loihi2"),
        ("inspect", "heat.pisnn"),
        ("inspect", "heat.pisnn", "--format", "dot"),
        ("profiles", "list"),
        ("models", "list"),
        ("doctor",),
        ("simulate", "heat.pisnn"),
    ),
    "fast": (HEAT, ("simulate", "heat.pisnn", "--backend", "fast")),
    "report": (HEAT, ("simulate", "heat.pisnn", "--plot", "run.png", "--report", "run.html")),
    "onnx": (HEAT, ("simulate", "heat.pisnn", "--backend", "onnx"), ("export", "heat.pisnn", "--to", "onnx")),
    "nir": (HEAT, ("export", "heat.pisnn", "--to", "nir", "-o", "a.nir"), ("compile", "a.nir", "-o", "b.pisnn")),
    "netx": (("export", "heat1d", "--to", "netx", "-o", "a.net"), ("compile", "a.net", "-o", "b.pisnn")),
    "meshes": (
        ("compile", "heat2d", "--mesh", "square.msh", "-q", "-o", "square.pisnn"),
        ("compile", "heat1d", "--mesh", "4096", "--profile", "loihi2", "--placement", "metis"),
    ),
    "cluster": (("campaign", "plan.yaml", "--workers", "1"),),
    "xarray": (),
    "torch": (HEAT, ("simulate", "heat.pisnn", "--backend", "torch")),
    "lava": (HEAT, ("simulate", "heat.pisnn", "--backend", "cpu")),
    "train": (),
    "all": (HEAT, ("simulate", "heat.pisnn", "--backend", "cpu", "--against", "fast")),
}
"""Commands that must succeed, by extra."""
LACKS: tuple[tuple[str, ...], ...] = (
    ("simulate", "heat.pisnn", "--backend", "cpu"),
    ("simulate", "heat.pisnn", "--backend", "onnx"),
    ("simulate", "heat.pisnn", "--backend", "torch"),
    ("simulate", "heat.pisnn", "--plot", "run.png"),
    ("simulate", "heat.pisnn", "--report", "run.html"),
    ("inspect", "heat.pisnn", "--format", "png", "-o", "graph.png"),
    ("campaign", "plan.yaml"),
    ("train", "heat1d"),
    ("export", "heat.pisnn", "--to", "onnx"),
    ("export", "heat.pisnn", "--to", "netx"),
    ("export", "heat.pisnn", "--to", "nir"),
    ("compile", "heat1d", "--mesh", "4096", "--profile", "loihi2", "--placement", "metis"),
    ("compile", "heat2d", "--mesh", "square.msh"),
)
"""Commands that the core must refuse in one line with exit code 2."""
PLAN = "models: [heat1d]\nmeshes: ['16']\nsteps: [2]\n"
SQUARE = """$MeshFormat
2.2 0 8
$EndMeshFormat
$Nodes
5
1 0 0 0
2 1 0 0
3 1 1 0
4 0 1 0
5 0.5 0.5 0
$EndNodes
$Elements
4
1 2 0 1 2 5
2 2 0 2 3 5
3 2 0 3 4 5
4 2 0 4 1 5
$EndElements
"""
MEGABYTE = 10**6


@dataclass(frozen=True)
class Installed:
    """Size and time of an extra, including the core, beyond an empty environment."""

    extra: str
    megabytes: float
    download_seconds: float
    install_seconds: float

    @property
    def row(self) -> str:
        """A row of the table."""
        name = f"`{self.extra}`" if self.extra else "(none)"
        return f"| {name} | {self.megabytes:.0f} | {self.download_seconds:.0f} | {self.install_seconds:.0f} |"


def disk_usage(folder: Path) -> int:
    """Disk space of a folder in bytes, including bytecode."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def install(wheel: Path, extra: str, folder: Path) -> Installed:
    """Download the requirements of the wheel with an extra, and install them into a new environment."""
    environment, wheels = folder / "environment", folder / "wheels"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    (packages,) = environment.glob("lib/*/site-packages")
    before = disk_usage(packages)
    requirement = f"{wheel}[{extra}]" if extra else str(wheel)
    constraints = ROOT / ("constraints.txt" if sys.version_info[:2] == (3, 10) else "constraints-newer.txt")
    pip: list[str | Path] = [
        environment / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-q",
        "--no-cache-dir",
    ]
    times = [time.perf_counter()]
    steps: tuple[list[str | Path], ...] = (
        ["download", "-d", wheels],
        ["install", "--no-index", "--find-links", wheels],
    )
    for words in steps:
        subprocess.run([*pip, *words, "-c", constraints, requirement], check=True, cwd=environment)
        times.append(time.perf_counter())
    megabytes = (disk_usage(packages) - before) / MEGABYTE
    return Installed(extra, megabytes, times[1] - times[0], times[2] - times[1])


def call(environment: Path, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run a command in the environment's folder."""
    program = environment / "bin" / "pisnn-deploy"
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PISNN_LAVA_PYTHON")}
    return subprocess.run([program, *words], cwd=environment, env=clean, capture_output=True, text=True, check=False)


def try_out(environment: Path, extra: str) -> None:
    """Run the commands that must work and, in the core, those that must be refused."""
    (environment / "plan.yaml").write_text(PLAN)
    (environment / "square.msh").write_text(SQUARE)
    for words in WORKS[extra]:
        done = call(environment, words)
        if done.returncode:
            raise SystemExit(f"[{extra}] {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    for words in LACKS if extra == CORE else ():
        done = call(environment, words)
        lines = done.stderr.splitlines()
        if done.returncode != 2 or len(lines) != 1 or "pip install 'pisnn-deploy[" not in lines[0]:
            raise SystemExit(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")


def measured(wheel: Path, extra: str, folder: Path) -> Installed:
    """Install an extra, run its commands, and remove it."""
    installed = install(wheel, extra, folder)
    try_out(folder / "environment", extra)
    shutil.rmtree(folder / "environment")
    shutil.rmtree(folder / "wheels")
    return installed


def main(extras: list[str]) -> None:
    """Measure all extras and write the page, or measure the named ones and print them."""
    with tempfile.TemporaryDirectory(prefix="pisnn-install-") as name:
        folder = Path(name)
        build: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT]
        subprocess.run(build, check=True, capture_output=True)
        (wheel,) = folder.glob("*.whl")
        rows = []
        for extra in extras or WORKS:
            rows.append(measured(wheel, extra.replace("core", CORE), folder).row)
            print(rows[-1], flush=True)
    if extras:
        return
    machine = f"On Python {platform.python_version()} and {os.cpu_count()} cores, with the pinned versions"
    head = (
        f"{machine}; each extra with the core, bytecode included, measured by\n`python -m benchmarks.install_sizes`. "
        "Downloads depend on the network; what pip has in its cache saves them:\n\n"
        "| extra | MB | seconds of download | seconds of installation |\n| --- | --- | --- | --- |\n"
    )
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(f"{before}{MARKS[0]}\n{head}" + "\n".join(rows) + f"\n{MARKS[1]}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
