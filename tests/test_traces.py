"""The integers of every kind of set-up are those that were written down: changes of the code alone do not move them.

``PISNN_WRITE_TRACES=1 pytest tests/test_traces.py`` writes them down anew, after a change of the numerics.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from trace_setups import SetUp, set_ups, trace_hash

FILE = Path(__file__).with_name("traces.json")


@pytest.mark.parametrize(("name", "set_up"), [pytest.param(name, set_up, id=name) for name, set_up in set_ups()])
def test_the_integers_stay(name: str, set_up: SetUp, tmp_path: Path) -> None:
    digest = trace_hash(set_up(tmp_path))
    if os.environ.get("PISNN_WRITE_TRACES"):
        written = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps({**written, name: digest}, indent=1, sort_keys=True) + "\n")
    assert json.loads(FILE.read_text())[name] == digest


def test_every_set_up_is_written_down() -> None:
    assert set(json.loads(FILE.read_text())) == {name for name, _ in set_ups()}
