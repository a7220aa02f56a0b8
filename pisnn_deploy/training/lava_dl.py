"""lava-dl's slayer, imported without its printed output."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lava.lib.dl import slayer as _slayer

slayer: Any = _slayer
"""``lava.lib.dl.slayer``, which has no type hints."""
Neuron: Any = _slayer.neuron.base.Neuron
"""Base class of SLAYER's neurons."""
WEIGHT_SCALE = 1 << 6
"""lava-dl's ``w_scale``: a slayer weight of 1 is the hardware mantissa 64."""
MANTISSAS_PER_WEIGHT = 2
"""Hardware mantissas are even: the integer weight 1 is the mantissa 2 with exponent -1."""
