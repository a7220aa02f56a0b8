"""For all tests."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

import lava_server
import pytest
from compiled_once import FOLDER
from hypothesis import settings

# How long an example takes says how busy the machine is: timings live in benchmarks/.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Where tests themselves run in a workflow, the files that they make are outside of its checkout.
os.environ.pop("GITHUB_WORKSPACE", None)

# Hundreds of processes import the package: it is compiled to bytecode once, whatever the environment says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


MORE = int(os.environ.get("PISNN_EXAMPLES", "1"))
"""How many times as many random examples hypothesis draws; `make test-all` asks for more."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests marked `long` to `make test-all`, for which hypothesis draws more examples than a test asks for."""
    if MORE == 1:
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    for test in (item.obj for item in items if isinstance(item, pytest.Function)):
        if MORE > 1 and getattr(test, "is_hypothesis_test", False):
            asked = test._hypothesis_internal_use_settings
            test._hypothesis_internal_use_settings = settings(asked, max_examples=MORE * asked.max_examples)


def pytest_configure(config: pytest.Config) -> None:
    """Give the processes of the session one folder of compiled graphs, and each one thread for numpy and torch."""
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="pisnn-tests-")
        # There is a process for each core already, and threads that wait for each other spin.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, "1")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True)


@pytest.fixture(autouse=True, scope="session")
def _workers_of_lava() -> None:
    """Let all runs on Lava share a process that has it loaded."""
    lava_server.install()
