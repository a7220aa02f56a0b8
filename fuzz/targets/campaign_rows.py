"""Rows of a campaign that was interrupted."""

import contextlib
import hashlib
import json
from pathlib import Path
from random import Random

from fuzz.compiled import small_rows
from fuzz.mutations import plain_changed
from fuzz.oracle import require
from fuzz.target import Change, Target
from pisnn_deploy.campaign.record import ROWS, folder_of, record_of
from pisnn_deploy.campaign.seal import sealed_line


def _seeds(folder: Path) -> list[bytes]:
    return [b"".join(sealed_line(row) + b"\n" for row in small_rows(folder))]


def _read(path: Path) -> None:
    table = path.with_name("table.parquet")
    folder = folder_of(table)
    folder.mkdir(exist_ok=True)
    rows = folder / ROWS
    content = path.read_bytes()
    rows.write_bytes(content)
    with record_of(table, resume=True) as record:
        pass
    require(content.startswith(rows.read_bytes()), "rows read differently once they are written")
    rows.unlink()
    assert record is not None


def _changed(random: Random, content: bytes, change: Change) -> bytes:
    """Change the facts of a row and update their hash."""
    lines = content.split(b"\n")
    at = random.randrange(len(lines))
    with contextlib.suppress(Exception):  # an earlier mutation damaged the row
        facts = plain_changed(random, json.loads(lines[at]), change)
        facts.pop("sha256", None)
        facts["sha256"] = hashlib.sha256(json.dumps(facts, allow_nan=False).encode()).hexdigest()
        lines[at] = json.dumps(facts).encode()
        return b"\n".join(lines)
    lines[at] = change(lines[at], len(lines[at]) + 64)
    return b"\n".join(lines)


TARGET = Target("input.jsonl", _read, _seeds, _changed, size=1 << 13)
