"""The baseline: what counts as growth, and files that come from anyone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from checked_graphs import heat_graph
from hypothesis import given
from hypothesis import strategies as st

from pisnn_deploy.checks import check
from pisnn_deploy.checks.baseline import LARGEST_REPORT, Baseline, Growth
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.target import load_profile

REPORT = check(heat_graph(), load_profile("loihi2"))


def grown(path: Path, percent: float = 5.0) -> list[str]:
    growths = Baseline(path).growths("loihi2", REPORT.resources, percent)
    return [growth.resource for growth in growths if growth.grew]


def written(path: Path, **resources: Any) -> Path:
    plain = REPORT.to_dict()
    plain["resources"].update(resources)
    path.write_text(json.dumps(plain))
    return path


@pytest.mark.parametrize(
    ("old", "new", "percent", "grew"),
    [
        (100, 105, 5.0, False),
        (100, 106, 5.0, True),
        (100, 90, 0.0, False),
        (100, 101, 0.0, True),
        (0, 0, 5.0, False),
        (0, 1, 1e9, True),
        (0.1, 0.1 + 1e-17, 0.0, False),
        (20 / 16000, 21 / 16000, 5.0, False),
        (20 / 16000, 22 / 16000, 5.0, True),
        (1000, 1001, 0.1, False),
    ],
)
def test_growth_at_its_limit(old: float, new: float, percent: float, grew: bool) -> None:
    assert Growth("cores", old, new, percent).grew is grew


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.floats(0, 1e6))
def test_what_shrinks_never_fails_and_json_holds_every_change(old: int, new: int, percent: float) -> None:
    growth = Growth("neurons", old, new, percent)
    assert not growth.grew or new > old
    json.dumps(growth.to_dict(), allow_nan=False)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 200))
def test_growth_of_counts_is_exact(old: int, new: int, percent: int) -> None:
    assert Growth("neurons", old, new, float(percent)).grew == (100 * new > (100 + percent) * old)


def test_every_resource_is_compared(tmp_path: Path) -> None:
    path = written(tmp_path / "old.json")
    assert grown(path) == []
    names = [growth.resource for growth in Baseline(path).growths("loihi2", REPORT.resources, 5.0)]
    utilisation = [f"utilisation.{name}" for name in sorted(REPORT.resources.utilisation)]
    counted = [name for name in REPORT.to_dict()["resources"] if name != "utilisation"]
    assert names == [*counted, *utilisation]
    for name in counted:
        assert grown(written(path, **{name: 0})) == [name]
    less = {name: share for name, share in REPORT.resources.utilisation.items() if name != "neurons"}
    assert grown(written(path, utilisation=less)) == ["utilisation.neurons"]
    assert grown(written(path, utilisation={**REPORT.resources.utilisation, "gone": 0.5})) == []


def test_reports_of_before_axons_were_counted_still_serve(tmp_path: Path) -> None:
    plain = REPORT.to_dict()
    for name in ("input_axons", "output_axons"):
        del plain["resources"][name]
    (tmp_path / "old.json").write_text(json.dumps(plain))
    assert grown(tmp_path / "old.json") == []


def test_one_of_several_reports_is_taken_by_its_profile(tmp_path: Path) -> None:
    other = check(heat_graph(), load_profile("generic-int")).to_dict()
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"reports": [other, REPORT.to_dict()]}))
    assert grown(path) == []
    path.write_text(json.dumps(other))
    with pytest.raises(FileError, match=r"is a baseline for 'generic-int', not for 'loihi2'; write it with: "):
        grown(path)
    path.write_text(json.dumps({"reports": [other, other]}))
    with pytest.raises(FileError, match="has two reports for 'generic-int'"):
        grown(path)
    path.write_text(json.dumps({"reports": []}))
    with pytest.raises(FileError, match="is a baseline for no profile"):
        grown(path)


def damaged(**changes: Any) -> str:
    return json.dumps({**REPORT.to_dict(), **changes})


RESOURCES = REPORT.to_dict()["resources"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "3",
        "{}",
        "{",
        "[" * 100_000,
        '{"reports": 3}',
        '{"reports": [3]}',
        "\udcff",
        "9" * 5000,
        damaged()[:-1] + ', "profile": "loihi2"}',
        damaged(extra=1),
        damaged(**{"x" * 100_000: 1}),
        damaged(profile="x" * 65),
        damaged(profile="a\x1b[31m"),
        damaged(profile="a\n"),
        damaged(resources={**RESOURCES, "utilisation": {"a\x1b[31m": 0.5}}),
        json.dumps({"reports": [REPORT.to_dict()] * 65}),
        damaged(profile=3),
        damaged(resources={**RESOURCES, "cores": 1.5}),
        damaged(resources={**RESOURCES, "cores": True}),
        damaged(resources={**RESOURCES, "cores": "1"}),
        damaged(resources={**RESOURCES, "cores": -1}),
        damaged(resources={**RESOURCES, "cores": 2**63}),
        damaged(resources={**RESOURCES, "cores": None}),
        damaged(resources={**RESOURCES, "more": 1}),
        damaged(resources={**RESOURCES, "utilisation": {"neurons": float("inf")}}),
        damaged(resources={**RESOURCES, "utilisation": {"neurons": float("nan")}}),
        damaged(resources={**RESOURCES, "utilisation": {"neurons": -0.5}}),
        damaged().replace('"utilisation": {', '"utilisation": {"x": 1e999, '),
    ],
)
def test_what_is_no_report_is_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(FileError) as caught:
        Baseline(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and said.endswith("--format json --output FILE") and "\n" not in said
    assert len(said) < 600


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    with path.open("wb") as file:
        file.truncate(LARGEST_REPORT + 1)
    with pytest.raises(FileError, match=f"is larger than {LARGEST_REPORT} bytes"):
        Baseline(path)
    with pytest.raises(FileError, match="cannot be read"):
        Baseline(tmp_path / "none.json")
    with pytest.raises(FileError, match="cannot be read"):
        Baseline(tmp_path)
