"""One point of a campaign's product, with a key that stands for all that its row depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from pisnn_deploy import __version__
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.project.request import CompileRequest, compile_request

OWN = "own"
"""The problem's own mesh, boundary or start."""
HORIZON = "horizon"
"""As many PDE steps as the problem's horizon takes."""
NO_FAULT = "none"
"""Nothing hits the run."""
RANDOM = "random"
"""A random field for each seed as start."""


@dataclass(frozen=True)
class Named:
    """What a plan names.

    Attributes
    ----------
    text : str
        As the plan has it.
    location : str
        Absolute path of a file; otherwise the text.
    digest : str
        SHA-256 of what the name stands for, hexadecimal; empty where the text says all.
    """

    text: str
    location: str
    digest: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a file of the user's."""
        return self.location != self.text


@dataclass(frozen=True)
class Target:
    """What is compiled; cases with equal targets share one artifact.

    Attributes
    ----------
    boundary : str
        Conditions as the command line has them.
    coding : str
        ``delta`` or ``dense``.
    """

    model: Named
    mesh: Named
    boundary: str
    profile: Named
    coding: Coding

    @property
    def request(self) -> CompileRequest:
        """What the compiler is asked for."""
        mesh, boundary = (None if text == OWN else text for text in (self.mesh.location, self.boundary))
        return compile_request(
            self.model.location, profile=self.profile.location, mesh=mesh, boundary=boundary, coding=self.coding
        )


@dataclass(frozen=True)
class Case:
    """What is run.

    Attributes
    ----------
    seed : int or None
        Of a random start.
    steps : int or None
        PDE steps; to the problem's horizon if None.
    backend : str
        Name of the backend that runs it.
    fault : str
        What hits the run, or `NO_FAULT`.
    """

    target: Target
    initial: Named
    seed: int | None
    steps: int | None
    backend: str
    fault: str = NO_FAULT

    def described(self) -> dict[str, str | int | None]:
        """The case as the plan says it: name of the axis, and its value."""
        target = self.target
        return {
            "model": target.model.text,
            "mesh": target.mesh.text,
            "boundary": target.boundary,
            "profile": target.profile.text,
            "coding": target.coding,
            "initial": self.initial.text,
            "seed": self.seed,
            "asked_steps": self.steps,
            "backend": self.backend,
            "fault": None if self.fault == NO_FAULT else self.fault,
        }

    def contradicted_by(self, facts: Mapping[str, object]) -> str:
        """Where facts recorded under the key of this case contradict it, in a few words; empty if nowhere.

        Parameters
        ----------
        facts : mapping of str to object
            By the names of `described`.
        """
        for name, value in self.described().items():
            fact = facts[name]
            # How many steps lead to the problem's horizon is known once the case was compiled.
            if fact != value and not (name == "asked_steps" and value is None):
                return f"{name} {'none' if fact is None else fact}, and not {'none' if value is None else value}"
        return ""

    @cached_property
    def key(self) -> str:
        """SHA-256 of canonical JSON, hexadecimal: the same wherever the files lie, another if their bytes change.

        The version of this package counts too.
        """
        content = asdict(self) | {"version": __version__}
        for named in (content["initial"], *(content["target"][axis] for axis in ("model", "mesh", "profile"))):
            del named["location"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()
