"""Faults as text, from options and plans."""

from pathlib import Path

from fuzz.oracle import require
from fuzz.target import Target, literal, text_of
from pisnn_deploy.faults.spec import EXAMPLES, parse_fault


def _read(path: Path) -> None:
    text = text_of(path)
    fault = parse_fault(text)
    require(parse_fault(str(fault)) == fault, "a fault reads differently once it is written")


TARGET = Target("input.txt", _read, literal(*(text.encode() for text in EXAMPLES.values())), size=256)
