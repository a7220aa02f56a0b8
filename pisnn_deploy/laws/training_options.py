"""The section `training` of the recipe of a law."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_UNITS = 256
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LawTraining(BaseModel):
    """How to train the fluxes of a law.

    Attributes
    ----------
    hidden : int or None
        Hidden units of the network (default: 48 on a line, else 40; 8 for each field of a linear law).
    half_width : int
        Cells on each side of a face that its flux depends on.
    seed : int
        Random seed of the starts and of the initial networks.
    starts : int or None
        Random starts that the training sees (default: 24 for one field on a line, 16 for several, else 10; three times
        as many if the recipe's start has jumps). A stage trains on at most that number without the jumps, half of
        them the worst, and checks that none of the others gets much worse.
    cells : int or None
        Cells along each axis of the periodic box of these starts (default: those of the mesh, but at most 128 for one
        field on a line, 96 for several, else 24).
    horizon : int or None
        PDE steps of the longest rollouts (default: those to the final time, but at most 96 for one field on a line, 64
        for several, else 24).
    steps : int
        Gauss-Newton steps on the longest rollouts.
    accept : float or None
        Largest accepted error of held-out starts (default: that of Godunov's scheme on the same mesh).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    hidden: Annotated[int, Field(ge=2, le=MOST_UNITS, strict=True)] | None = None
    half_width: Annotated[int, Field(ge=1, le=4, strict=True)] = 3
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 1
    starts: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = None
    cells: Annotated[int, Field(ge=8, le=1024, strict=True)] | None = None
    horizon: Annotated[int, Field(ge=1, le=4096, strict=True)] | None = None
    steps: Annotated[int, Field(ge=1, le=1000, strict=True)] = 30
    accept: Positive | None = None
