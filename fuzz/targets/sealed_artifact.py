"""Artifacts changed and sealed again, as a forger would: most of them reach what is behind the hashes."""

from fuzz.artifacts import sealed
from fuzz.compiled import artifact_seeds, read_and_use
from fuzz.mutations import Archive
from fuzz.target import Target

TARGET = Target("input.pisnn", read_and_use, artifact_seeds, Archive(sealed), size=1 << 15)
