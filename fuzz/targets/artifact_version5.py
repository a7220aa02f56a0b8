"""Artifacts of format version 5, which had no programs, changed and sealed again."""

from fuzz.artifacts import sealed
from fuzz.compiled import read_and_use
from fuzz.mutations import Archive
from fuzz.target import Target, files

TARGET = Target("input.pisnn", read_and_use, files("tests/graph/version5/*.pisnn"), Archive(sealed), size=1 << 15)
