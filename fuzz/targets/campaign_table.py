"""Tables of campaigns."""

from pathlib import Path

from fuzz.compiled import small_rows
from fuzz.oracle import require
from fuzz.target import Target
from pisnn_deploy.campaign.table import read_table, write_table


def _seeds(folder: Path) -> list[bytes]:
    path = folder / "seed.parquet"
    contents = []
    for rows in (small_rows(folder), []):
        write_table(path, rows, {"plan": "x"})
        contents.append(path.read_bytes())
    return contents


def _read(path: Path) -> None:
    rows = read_table(path)
    copy = path.with_name("copy.parquet")
    write_table(copy, rows, {})
    require(read_table(copy) == rows, "a table reads differently once it is written")


TARGET = Target("input.parquet", _read, _seeds, size=1 << 15)
