"""Processes end together with their parents, and leave nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

STUBBORN = """
import os, signal, sys, time
from pathlib import Path
from pisnn_deploy.lava.guardian import end_with_standard_input
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end_with_standard_input(lambda: Path(sys.argv[1]).unlink(), grace_seconds=0.1)
print("ready", flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_would_leave_is_removed_first(tmp_path: Path) -> None:
    segment = tmp_path / "segment"
    segment.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, str(segment)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"ready\n" and segment.exists()
    process.stdin.close()
    assert process.wait(30) == -signal.SIGKILL and not segment.exists()
    process.stdout.close()
