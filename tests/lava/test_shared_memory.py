"""Shared memory is counted before a run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.lava.shared_memory import channel_bytes, require_shared_memory


def test_channels_are_counted_in_whole_pages() -> None:
    small = SimpleNamespace(shape=(128,), d_type=np.int32, size=2)
    large = SimpleNamespace(shape=(3, 65536), d_type=np.int64, size=2)
    executable = SimpleNamespace(
        channel_builders=[SimpleNamespace(src_port_initializer=port) for port in (small, large)],
        sync_channel_builders=[object()] * 4,
    )
    page = channel_bytes(SimpleNamespace(channel_builders=[], sync_channel_builders=[object()]))
    assert channel_bytes(executable) == 5 * page + 2 * 3 * 65536 * 8


def test_too_little_shared_memory_is_refused() -> None:
    require_shared_memory(4096, 4096)
    with pytest.raises(UsageError) as caught:
        require_shared_memory(8192, 4096)
    assert str(caught.value) == (
        "/dev/shm: the network needs 8192 bytes of shared memory, but only 4096 are free; "
        "enlarge it (docker run --shm-size) or use a smaller mesh"
    )
