"""For all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# How long an example takes says how busy the machine is: timings live in benchmarks/.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Where tests themselves run in a workflow, the files that they make are outside of its checkout.
os.environ.pop("GITHUB_WORKSPACE", None)
