"""The kernel as one file, which runs with any Python from 3.8 on and without this package."""

from __future__ import annotations

from importlib import resources

_FUTURE = "from __future__ import annotations\n"
_IMPORT = "from pisnn_deploy.verify.plain_artifact import "


def standalone_checker() -> str:
    """Return the source of ``checker.py``: `pisnn_deploy.verify.plain_artifact`, then `pisnn_deploy.verify.kernel`."""
    folder = resources.files("pisnn_deploy.verify")
    reading, proving = ((folder / name).read_text("utf-8") for name in ("plain_artifact.py", "kernel.py"))
    title, _, proof = proving.partition(_FUTURE)
    lines = [line for line in proof.splitlines(keepends=True) if not line.startswith(_IMPORT)]
    return title + _FUTURE + reading.partition(_FUTURE)[2].rstrip() + "\n" + "".join(lines)
