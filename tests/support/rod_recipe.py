"""Recipe of the heat equation on a periodic rod as a law, with an exact solution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROD = {
    "name": "rod",
    "law": {"fields": ["u"], "diffusion": {"u": "0.01"}},
    "domain": {"lengths": 1.0, "boundary": "periodic"},
    "initial": {"u": "0.5 + 0.25*sin(2*pi*x)"},
    "range": {"u": [0, 1]},
    "time": 0.5,
    "mesh": 32,
    "reference": "modes",
}


def rod_recipe(folder: Path, **changes: Any) -> Path:
    """Write the recipe with some entries changed."""
    path = folder / "rod.yaml"
    path.write_text(yaml.safe_dump({**ROD, **changes}))
    return path
