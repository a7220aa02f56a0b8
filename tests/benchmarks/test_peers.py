"""The comparison of measured with recorded ratios."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.peers import LOSS, RECORDED, losses


def test_a_ratio_that_is_a_fifth_worse_is_shown() -> None:
    recorded = {"a / b": 2.0, "c / d": 1.0, "e / f": 3.0}
    found = {"a / b": 2.0 * (1 - LOSS) - 0.01, "c / d": 1 - LOSS, "g / h": 0.1}
    assert losses(recorded, found) == ["a / b: 1.59, recorded as 2.00", "e / f: recorded as 3.00, not measured"]
    assert losses(found, found) == []


@pytest.mark.parametrize(("ratio", "code"), [(1.0, 1), (2.5, 0)])
def test_the_exit_code_says_whether_a_ratio_is_lost(
    ratio: float, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("PAGE", "RECORDED"):
        monkeypatch.setattr(peers, name, tmp_path / "recorded" / name)
    (tmp_path / "recorded").mkdir()
    peers.RECORDED.write_text(json.dumps({"ratios": {"a": 2.0}}))
    monkeypatch.setattr(peers, "measured", lambda _: ({}, {"a": ratio}, []))
    monkeypatch.setattr("sys.argv", ["peers"])
    assert peers.main() == code
    assert peers.PAGE.exists() == (code == 0)
    assert json.loads(peers.RECORDED.read_text())["ratios"] == {"a": 2.0 if code else ratio}
    monkeypatch.setattr("sys.argv", ["peers", "--accept"])
    assert peers.main() == code
    assert json.loads(peers.RECORDED.read_text())["ratios"] == {"a": ratio}


def test_ratios_are_recorded() -> None:
    assert all(ratio > 0 for ratio in json.loads(RECORDED.read_text())["ratios"].values())
