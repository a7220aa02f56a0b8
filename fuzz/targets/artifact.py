"""Artifacts with changed members: zip, JSON, arrays, hashes."""

from fuzz.compiled import artifact_seeds, read_and_use
from fuzz.mutations import Archive
from fuzz.target import Target

TARGET = Target("input.pisnn", read_and_use, artifact_seeds, Archive(), size=1 << 15)
