"""Rows on disk: what a kill leaves of them, and the table that they become."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from campaign_cases import in_process, planned
from pyarrow import parquet

from pisnn_deploy.campaign.record import folder_of, record_of
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.table import read_table, write_table
from pisnn_deploy.core.errors import FileError


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    text = "models: heat1d\nmeshes: [16, 4x4]\ninitial: [own, random]\nseeds: [1, 2]\nsteps: 3\n"
    return in_process(planned(tmp_path_factory.mktemp("plan"), text))


def test_whatever_a_kill_leaves_the_whole_lines_count(rows: list[Row], tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    with record_of(table, resume=False) as record:
        record.append(rows[:2])
        record.append(rows[2:3])
    path = folder_of(table) / "rows.jsonl"
    whole = path.read_bytes()
    ends = [0, *(match.end() for match in re.finditer(b"\n", whole))]
    assert len(ends) == 4
    for length in (*range(0, len(whole), 37), *ends, *(end - 1 for end in ends[1:])):
        path.write_bytes(whole[:length])
        with record_of(table, resume=True) as record:
            kept = sum(end <= length for end in ends[1:])
            assert list(record.rows.values()) == rows[:kept]
            record.append(rows[kept:])
        with record_of(table, resume=True) as record:
            assert list(record.rows.values()) == rows


def test_without_resume_nothing_is_kept(rows: list[Row], tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    write_table(table, rows, {})
    for resume in (False, True):
        with record_of(table, resume=resume) as record:
            assert record.rows == {}


def test_a_complete_table_goes_on_too(rows: list[Row], tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    write_table(table, rows, {})
    with record_of(table, resume=True) as record:
        assert list(record.rows.values()) == rows
    assert (folder_of(table) / "rows.jsonl").read_bytes().count(b"\n") == len(rows)


def test_of_two_attempts_the_last_one_counts(rows: list[Row], tmp_path: Path) -> None:
    nothing: dict[str, Any] = {field.name: None for field in fields(Row) if field.default is None}
    again = replace(rows[0], **nothing | {"verdict": "failed", "message": "its worker was lost"})
    with record_of(tmp_path / "a.parquet", resume=False) as record:
        record.append([again, rows[1]])
        record.append([rows[0]])
    with record_of(tmp_path / "a.parquet", resume=True) as record:
        assert record.rows == {row.key: row for row in rows[:2]}


def test_damage_is_seen(rows: list[Row], tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    with record_of(table, resume=False) as record:
        record.append(rows[:2])
    path = folder_of(table) / "rows.jsonl"
    for damaged in (path.read_bytes().replace(b"conserved", b"conserves", 1), b"[]\n" + path.read_bytes()):
        path.write_bytes(damaged)
        message = f"{path}: line 1: is damaged; start anew without `resume`"
        with pytest.raises(FileError, match=f"^{re.escape(message)}$"), record_of(table, resume=True):
            pass


def test_two_campaigns_do_not_record_in_one_place(tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    message = f"{tmp_path}/a.parquet.partial: is in use: another run records there; save to another file"
    with (
        record_of(table, resume=False),
        pytest.raises(FileError, match=f"^{re.escape(message)}$"),
        record_of(table, resume=False),
    ):
        pass


def test_a_table_has_types_and_the_rows_in_order(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, rows, {"pisnn-deploy.plan": "{}"})
    assert read_table(path) == rows
    table = parquet.read_table(path)
    assert table.schema.metadata[b"pisnn-deploy.plan"] == b"{}"
    assert table.schema.field("drift").type == pyarrow.int64() and table.schema.field("drift").nullable
    assert table.schema.field("relative_l2_error").type == pyarrow.float64()
    assert not table.schema.field("verdict").nullable
    assert table["key"].to_pylist() == [row.key for row in rows]
    first = path.read_bytes()
    write_table(path, rows, {"pisnn-deploy.plan": "{}"})
    assert path.read_bytes() == first


def test_a_text_that_is_no_text_is_refused(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, rows, {})
    content = path.read_bytes()
    # Texts stand in the file as they are, in a dictionary of the column.
    assert content.count(rows[0].model.encode()) > 0
    path.write_bytes(content.replace(rows[0].model.encode(), b"\xf4" * len(rows[0].model)))
    with pytest.raises(FileError, match=re.escape("a.parquet: is ")):
        read_table(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(64) + b"PAR1", None])
def test_what_is_no_table_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    if content is None:
        parquet.write_table(pyarrow.table({"key": ["x"]}), path)
    else:
        path.write_bytes(content)
    message = f"{path}: is not the table of a campaign; start anew without `resume`"
    with pytest.raises(FileError, match=f"^{re.escape(message)}$"):
        read_table(path)
