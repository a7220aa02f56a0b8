"""For all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says how busy the machine is: timings live in benchmarks/.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
