"""The same model, options and versions give the same bytes, whatever the machine, its threads and its hash seed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden.json")
"""SHA-256 of the artifacts without their provenance; ``python tests/compiler/test_reproducible.py`` writes it anew."""
EXAMPLES = Path(__file__).parents[2] / "examples" / "plate_with_hole"
CASES: dict[str, dict[str, object]] = {
    "heat1d": {"model": "heat1d"},
    "heat1d between reservoirs": {"model": "heat1d", "boundary": "dirichlet=0,1", "coding": "dense"},
    "heat2d": {"model": "heat2d", "mesh": "48x48", "boundary": "x=no-flux y=periodic"},
    "laplace2d": {"model": "laplace2d", "mesh": "32x32"},
    "advection_diffusion1d": {"model": "advection_diffusion1d"},
    "burgers1d": {"model": "burgers1d"},
    "plate": {
        "model": "heat2d",
        "mesh": str(EXAMPLES / "plate.msh"),
        "materials": str(EXAMPLES / "materials.yaml"),
        "boundary": "hole=dirichlet=1 left=dirichlet=0",
        "value_range": "0,1",
    },
}
PROGRAM = """
import hashlib, json, sys
from pathlib import Path
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.graph.artifact import artifact_bytes
found = {}
for name, options in json.loads(sys.argv[1]).items():
    graph, _ = compile_requested(compile_request(**options))
    found[name] = hashlib.sha256(artifact_bytes(graph, {})).hexdigest()
print(json.dumps(found))
"""


def hashes(**environment: str) -> dict[str, str]:
    """Hashes of all cases, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(CASES)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        # Another processor, as far as numpy and OpenBLAS can tell.
        {
            "PYTHONHASHSEED": "2",
            "OMP_NUM_THREADS": "2",
            "OPENBLAS_NUM_THREADS": "2",
            "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3",
            "OPENBLAS_CORETYPE": "Nehalem",
        },
    ],
    ids=["one thread", "another machine"],
)
def test_artifacts_have_their_golden_hashes(environment: dict[str, str]) -> None:
    assert hashes(**environment) == json.loads(GOLDEN.read_text())


def test_a_hash_tells_artifacts_apart() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert len(set(golden.values())) == len(golden) == len(CASES)
    assert all(len(value) == len(hashlib.sha256().hexdigest()) for value in golden.values())


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(hashes(), indent=2) + "\n")
