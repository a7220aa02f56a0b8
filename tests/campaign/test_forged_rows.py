"""Rows on disk of which a field was changed and that were sealed again: refused where other fields speak against it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from campaign_cases import in_process, planned
from pyarrow import parquet

from pisnn_deploy.campaign.case import Case
from pisnn_deploy.campaign.record import folder_of, record_of
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.seal import sealed_line
from pisnn_deploy.campaign.table import write_table
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.runs.verdict import Balance, Verdict

PLAN = """\
models: heat1d
meshes: [16, 4x4]
initial: [own, random]
seeds: [1, 2]
steps: 3
faults: [none, "drop:packet[3]@1"]
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    return planned(tmp_path_factory.mktemp("plan"), PLAN)


@pytest.fixture(scope="module")
def rows(cases: tuple[Case, ...]) -> list[Row]:
    return in_process(cases)


class Forged(Row):
    """A row without its own judgement, as a file may hold it."""

    def __post_init__(self) -> None:
        pass


def forged(row: Row, **changes: Any) -> Row:
    return Forged(**asdict(row) | changes)


def resumed(folder: Path, rows: Sequence[Row], cases: Sequence[Case]) -> None:
    table = folder / "a.parquet"
    with record_of(table, resume=False) as record:
        record.append(rows)
    with record_of(table, resume=True) as record:
        record.require(cases)


def refusal(folder: Path, rows: Sequence[Row], cases: Sequence[Case]) -> str:
    with pytest.raises(FileError) as caught:
        resumed(folder, rows, cases)
    found = re.search(r"is damaged \((.*)\); start anew without `resume`$", str(caught.value))
    assert found is not None, str(caught.value)
    return found[1]


def test_the_rows_of_a_campaign_are_what_their_cases_say(
    cases: tuple[Case, ...], rows: list[Row], tmp_path: Path
) -> None:
    resumed(tmp_path, rows, cases)
    assert {row.verdict for row in rows} == {"conserved", "violated", "refused"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"drift": 77}, "conserved, but the mass of all cells and ledgers changed by +77 quanta"),
        ({"drift": None}, "conserved, but figures are missing"),
        ({"violations_local": 5}, "conserved, but the audit found violations: local 5"),
        ({"violations_range": None}, "conserved, but figures are missing"),
        ({"violations_flux": -1}, "conserved, but the audit found violations: flux -1"),
        ({"verdict": "violated"}, "violated, but without a violation"),
        ({"verdict": "refused"}, "refused, but with a value for steps"),
        ({"verdict": "failed", "message": "lost"}, "failed, but with a value for steps"),
        ({"steps": 2}, "conserved after 2 of 3 PDE steps"),
        ({"steps": None}, "conserved, without an artifact, cells, faces or steps"),
        ({"artifact": None}, "conserved, without an artifact, cells, faces or steps"),
        ({"time_steps": -1}, "a negative count"),
        ({"packets": 10**6}, "1000000 packets of 16 faces in 3 PDE steps"),
        ({"fault_detected_step": 2}, "conserved, but a fault was detected"),
        ({"relative_l2_error": -0.5}, "conserved, with a relative L2 error of -0.5"),
        ({"time": -1.0}, "a time of -1.0"),
    ],
)
def test_a_verdict_is_not_contradicted(
    changes: dict[str, Any], reason: str, cases: tuple[Case, ...], rows: list[Row], tmp_path: Path
) -> None:
    assert rows[0].verdict == "conserved" and rows[0].cells == 16
    assert refusal(tmp_path, [forged(rows[0], **changes), *rows[1:]], cases) == reason
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        replace(rows[0], **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (dict.fromkeys(("violations_global", "violations_local"), 0), "violated, but without a violation"),
        (
            dict.fromkeys(("violations_global", "violations_local", "violations_flux"), 0),
            "violated, but without a violation",
        ),
        ({"violations_local": None}, "violated, but violations_local is missing without an explanation"),
        (
            {"violations_local": 0, "message": "drift is 5, too large for the table"},
            "violated, but without a violation",
        ),
        ({"plausible": True}, "violated, but plausible"),
        ({"message": None}, "violated, but without a message"),
        ({"steps": 4}, "violated after 4 of 3 PDE steps"),
        ({"verdict": "conserved"}, "conserved, but the audit found violations: local 2"),
        ({"relative_l2_error": 0.1}, "violated, with a relative L2 error of 0.1"),
    ],
)
def test_a_violated_row_says_what_was_violated(changes: dict[str, Any], reason: str, rows: list[Row]) -> None:
    violated = next(row for row in rows if row.verdict == "violated")
    assert violated.drift is None
    if len(changes) == 2 and "violations_global" in changes:
        changes = {**changes, "drift": 0}
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        replace(violated, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"drift": None, "message": f"drift is {2**63}, too large for the table"},
        {"violations_range": None, "message": f"a sentence; violations_range is {2**64}, too large for the table"},
        {"message": "the rows of the run do not add up: +3 quanta at PDE step 2; wrong rows: 1"},
    ],
)
def test_a_message_may_explain_a_violation_that_no_count_shows(changes: dict[str, Any], rows: list[Row]) -> None:
    assert replace(rows[0], verdict="violated", relative_l2_error=None, plausible=None, **changes).verdict == "violated"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "burgers1d"}, "model burgers1d, not heat1d"),
        ({"mesh": "999"}, "mesh 999, not 16"),
        ({"boundary": "no-flux"}, "boundary no-flux, not own"),
        ({"profile": "loihi1"}, "profile loihi1, not loihi2"),
        ({"coding": "dense"}, "coding dense, not delta"),
        ({"initial": "random"}, "initial random, not own"),
        ({"seed": 4}, "seed 4, not none"),
        ({"asked_steps": 4, "steps": 4}, "asked_steps 4, not 3"),
        ({"backend": "cpu"}, "backend cpu, not fast"),
        ({"fault": "drop:packet[3]@1"}, "fault drop:packet[3]@1, not none"),
        ({"cells": 1}, "1 cells, but its mesh is 16"),
        ({"faces": 17}, "facts about its artifact that differ from those in another row"),
        ({"artifact": "0" * 64}, "facts about its artifact that differ from those in another row"),
    ],
)
def test_a_row_says_what_its_case_says(
    changes: dict[str, Any], reason: str, cases: tuple[Case, ...], rows: list[Row], tmp_path: Path
) -> None:
    # The last of the rows that share an artifact, so that it is the one that is named.
    number = max(
        number for number, row in enumerate(rows) if row.cells == 16 and row.initial == "own" and not row.fault
    )
    others = [row for row in rows if row.key != rows[number].key]
    order = [*(case for case in cases if case.key != rows[number].key), cases[number]]
    key = rows[number].key[:12]
    expected = f"the row of case {key} has {reason}"
    assert refusal(tmp_path, [*others, forged(rows[number], **changes)], order) == expected


def test_every_field_is_sealed(rows: list[Row], tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    with record_of(table, resume=False) as record:
        record.append(rows[:1])
    path = folder_of(table) / "rows.jsonl"
    for field in fields(Row):
        facts = json.loads(sealed_line(rows[0]))
        value = facts[field.name]
        facts[field.name] = "x" if isinstance(value, str) else (value or 0) + 1
        path.write_bytes(json.dumps(facts).encode() + b"\n")
        with pytest.raises(FileError, match="line 1: is damaged"), record_of(table, resume=True):
            pass
    path.write_bytes(json.dumps(asdict(rows[0])).encode() + b"\n")
    with pytest.raises(FileError) as caught, record_of(table, resume=True):
        pass
    assert str(caught.value) == (f"{path}: line 1: is damaged (the line was changed); start anew without `resume`")


def test_a_table_of_other_rows_is_damaged(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, rows, {})
    table = parquet.read_table(path)
    for name, values, reason in (
        ("relative_l2_error", [0.5, *table["relative_l2_error"].to_pylist()[1:]], "rows were changed"),
        (
            "drift",
            [1, *table["drift"].to_pylist()[1:]],
            "conserved, but the mass of all cells and ledgers changed by +1 quanta",
        ),
    ):
        index = table.schema.get_field_index(name)
        column = pyarrow.array(values, table.schema.field(name).type)
        parquet.write_table(table.set_column(index, table.schema.field(name), column), path)
        with pytest.raises(FileError) as caught, record_of(path, resume=True):
            pass
        assert str(caught.value) == f"{path}: is damaged ({reason}); start anew without `resume`"


def test_a_row_of_a_run_has_the_verdict_of_its_figures(rows: list[Row]) -> None:
    for row in rows:
        if row.steps is not None:
            counts = {
                kind: getattr(row, f"violations_{kind}") for kind in ("global", "local", "flux", "overflow", "range")
            }
            assert row.verdict == Verdict((Balance(final=row.drift or 0),), counts).word
