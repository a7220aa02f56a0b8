"""A case of a campaign, with a key that identifies everything its row depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

from pisnn_deploy import __version__
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.project.request import CompileRequest, compile_request

OWN = "own"
"""The problem's own mesh, boundary or initial condition."""
HORIZON = "horizon"
"""PDE steps to the problem's final time."""
NO_FAULT = "none"
"""No fault is injected."""
RANDOM = "random"
"""A random initial field for each seed."""

Residues = Literal["unseen", "seen", "auto"]
"""Choices of whether faces see residues."""


@dataclass(frozen=True)
class Named:
    """Something that a plan names.

    Attributes
    ----------
    text : str
        Name in the plan.
    location : str
        Absolute path of a file, or the text itself.
    digest : str
        SHA-256 of the content, hexadecimal; empty if the text is the content.
    """

    text: str
    location: str
    digest: str = ""

    @property
    def is_file(self) -> bool:
        """Whether this is a user's file."""
        return self.location != self.text


@dataclass(frozen=True)
class Target:
    """Input of the compiler; cases with equal targets share an artifact.

    Attributes
    ----------
    boundary : str
        Boundary conditions as on the command line.
    coding : str
        ``delta`` or ``dense``.
    residues : str
        As ``--residues`` takes it.
    """

    model: Named
    mesh: Named
    boundary: str
    profile: Named
    coding: Coding
    residues: Residues = "unseen"

    @property
    def request(self) -> CompileRequest:
        """The compile request."""
        mesh, boundary = (None if text == OWN else text for text in (self.mesh.location, self.boundary))
        return compile_request(
            self.model.location,
            profile=self.profile.location,
            mesh=mesh,
            boundary=boundary,
            coding="auto" if self.coding == "delta" else "dense",  # some laws do not fit delta
            residues=self.residues,
        )


@dataclass(frozen=True)
class Case:
    """A run of a target.

    Attributes
    ----------
    seed : int or None
        Random seed of a random initial field.
    steps : int or None
        PDE steps; None for the problem's final time.
    backend : str
        Name of the backend.
    fault : str
        Injected fault, or `NO_FAULT`.
    """

    target: Target
    initial: Named
    seed: int | None
    steps: int | None
    backend: str
    fault: str = NO_FAULT

    def described(self) -> dict[str, str | int | None]:
        """Names of the plan's axes, and the values of this case."""
        target = self.target
        return {
            "model": target.model.text,
            "mesh": target.mesh.text,
            "boundary": target.boundary,
            "profile": target.profile.text,
            "coding": target.coding,
            "residues": target.residues,
            "initial": self.initial.text,
            "seed": self.seed,
            "asked_steps": self.steps,
            "backend": self.backend,
            "fault": None if self.fault == NO_FAULT else self.fault,
        }

    def contradicted_by(self, facts: Mapping[str, object]) -> str:
        """Describe how recorded facts contradict this case; empty if they do not.

        Parameters
        ----------
        facts : mapping of str to object
            Recorded values, by the names of `described`.
        """
        for name, value in self.described().items():
            fact = facts[name]
            # The number of steps to the final time is only known after compiling.
            if fact != value and not (name == "asked_steps" and value is None):
                return f"{name} {'none' if fact is None else fact}, not {'none' if value is None else value}"
        return ""

    @cached_property
    def key(self) -> str:
        """SHA-256 of the case as canonical JSON, hexadecimal.

        It depends on the content of files but not on their location, and on the version of this package.
        """
        content = asdict(self) | {"version": __version__}
        for named in (content["initial"], *(content["target"][axis] for axis in ("model", "mesh", "profile"))):
            del named["location"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()
