"""Build a release twice and compare it: ``python -m release``, for ``make release``.

Writes ``dist/``: the wheel and the source distribution of the last commit, their bill of materials, and SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from release.building import build, commit_time, export_commit
from release.materials import bill

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
SUMS = "SHA256SUMS"


def main() -> int:
    """Build, compare and write; 1 if two builds differ."""
    epoch = commit_time(ROOT)
    with TemporaryDirectory() as folder:
        built: list[dict[str, bytes]] = []
        for number in range(2):
            tree = Path(folder) / str(number) / "tree"
            export_commit(ROOT, tree)
            paths = build(tree, tree.parent / "dist", epoch)
            built.append({path.name: path.read_bytes() for path in paths})
        first, second = built
        different = sorted(name for name in first | second if first.get(name) != second.get(name))
        if different:
            sys.stderr.write(f"two builds of the same commit differ: {', '.join(different)}\n")
            return 1
        text = bill(paths, epoch)
    name = next(name for name in first if name.endswith(".tar.gz")).removesuffix(".tar.gz")
    files = {**first, f"{name}.cdx.json": text.encode()}
    sums = [f"{hashlib.sha256(content).hexdigest()}  {each}\n" for each, content in sorted(files.items())]
    DIST.mkdir(exist_ok=True)
    for each, content in {**files, SUMS: "".join(sums).encode()}.items():
        (DIST / each).write_bytes(content)
        sys.stdout.write(f"dist/{each}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
