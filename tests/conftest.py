"""For all tests."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

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


def pytest_configure(config: pytest.Config) -> None:
    """Give the processes of the session one folder of compiled graphs."""
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="pisnn-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True)
