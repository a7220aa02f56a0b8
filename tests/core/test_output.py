"""Files are written whole or not at all: through kills, full disks, links, and several writers at once."""

from __future__ import annotations

import ast
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import require_writable, whole_file, write_whole

PACKAGE = Path(__file__).parents[2] / "pisnn_deploy"
SIZE = 1 << 16
WRITER = f"""
import sys
from pathlib import Path
from pisnn_deploy.core.output import write_whole
sys.stdout.write("ready\\n")
sys.stdout.flush()
while True:
    for letter in sys.argv[2].encode():
        write_whole(Path(sys.argv[1]), bytes([letter]) * {SIZE})
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(path: Path) -> str:
    """What is said of a path, early and late."""
    with pytest.raises(FileError) as early:
        require_writable(path)
    with pytest.raises(FileError) as late:
        write_whole(path, b"new")
    assert str(early.value) == str(late.value) and early.value.exit_code == 2
    return str(early.value).removeprefix(f"{path}: ")


def writer(path: Path, letters: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), letters], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def assert_whole(path: Path, letters: str) -> None:
    content = path.read_bytes()
    assert len(content) == SIZE and content == content[:1] * SIZE and content[:1].decode() in letters


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"old", b"new"):
        write_whole(path, content)
        assert path.read_bytes() == content and names(tmp_path) == ["a"]


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path, chance = tmp_path / "a", random.Random(1)
    write_whole(path, b"o" * SIZE)
    for _ in range(12):
        process = writer(path, "xy")
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert_whole(path, "oxy")
    # At most the last of them left something, and the next writer removes it.
    assert len(names(tmp_path)) <= 2
    write_whole(path, b"new")
    assert names(tmp_path) == ["a"] and path.read_bytes() == b"new"


def test_two_writers_at_once_leave_the_whole_file_of_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    processes = [writer(path, letters) for letters in ("xy", "z")]
    try:
        seen: set[bytes] = set()
        until = time.monotonic() + 20
        while len(seen) < 3 and time.monotonic() < until:
            if path.exists():
                assert_whole(path, "xyz")
                seen.add(path.read_bytes()[:1])
        assert seen == {b"x", b"y", b"z"}
        assert [process.poll() for process in processes] == [None, None], "one of them has failed"
    finally:
        for process in processes:
            process.kill()
            process.wait()
    write_whole(path, b"new")
    assert names(tmp_path) == ["a"]


def test_what_a_killed_writer_left_is_removed_and_what_another_is_writing_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    left = tmp_path / f".a.{'0' * 16}.part"
    left.write_bytes(b"half")
    others = [tmp_path / name for name in (".a.part", f".b.{'0' * 16}.part", f".a.{'x' * 16}.part")]
    for other in others:
        other.write_bytes(b"of somebody else")
    with whole_file(path) as stream:
        assert not left.exists()
        stream.write(b"slow")
        write_whole(path, b"quick")
        assert path.read_bytes() == b"quick"
    assert path.read_bytes() == b"slow"
    assert names(tmp_path) == sorted(["a", *(other.name for other in others)])


def test_an_error_of_the_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    for error in (KeyboardInterrupt(), ValueError("x")):
        with pytest.raises(type(error)), whole_file(path) as stream:
            stream.write(b"half")
            raise error
        assert names(tmp_path) == ["a"] and path.read_bytes() == b"old"


def test_permissions_are_kept_and_new_files_have_the_usual_ones(tmp_path: Path) -> None:
    private, fresh = tmp_path / "private", tmp_path / "fresh"
    private.write_bytes(b"old")
    private.chmod(0o600)
    mask = os.umask(0o027)
    try:
        for path in (private, fresh):
            write_whole(path, b"new")
    finally:
        os.umask(mask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (private, fresh)] == [0o600, 0o640]


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, old in (("full", b"old"), ("empty", None)):
        target, link = tmp_path / "there" / name, tmp_path / name
        if old is not None:
            target.write_bytes(old)
        link.symlink_to(Path("there") / name)
        write_whole(link, b"new")
        assert link.is_symlink() and target.read_bytes() == b"new" and not target.is_symlink()
    assert names(tmp_path / "there") == ["empty", "full"] and names(tmp_path) == ["empty", "full", "there"]


def test_a_pipe_is_written_to_if_somebody_reads_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileError, match="cannot be written"):
        write_whole(pipe, b"new")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    null = tmp_path / "null"
    null.symlink_to(os.devnull)
    for path in (Path(os.devnull), null):
        require_writable(path)
        write_whole(path, b"gone")
        assert stat.S_ISCHR(path.stat().st_mode)
    assert names(tmp_path) == ["null"]


def test_what_cannot_be_written_is_one_line_early_and_late(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "nowhere").symlink_to(Path("none") / "a")
    before = names(tmp_path)
    for name, reason in (
        ("none/a", "No such file or directory"),
        ("nowhere", "No such file or directory"),
        ("folder", "Is a directory"),
        ("file/a", "Not a directory"),
        ("round", "Too many levels of symbolic links"),
        ("x" * 256, "File name too long"),
    ):
        assert refused(tmp_path / name) == f"cannot be written ({reason})"
    assert names(tmp_path) == before
    long = tmp_path / ("ä" * 127)
    write_whole(long, b"new")
    assert long.read_bytes() == b"new"


def mounts() -> bool:
    """Whether this process may mount file systems for itself."""
    done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return done.returncode == 0


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: the system then refuses writing as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_no_room_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with largest_file(4096), pytest.raises(FileError) as caught:
        write_whole(path, bytes(8192))
    assert str(caught.value) == f"{path}: cannot be written (File too large)"
    assert names(tmp_path) == ["a"] and path.read_bytes() == b"old"


IN_MOUNTS = """
import os, sys
from pathlib import Path
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import require_writable, write_whole
path = Path(sys.argv[1])
for call in (require_writable, lambda path: write_whole(path, bytes(1 << 17))):
    try:
        call(path)
    except FileError as error:
        print(error)
print(path.read_bytes().decode(), sorted(entry.name for entry in path.parent.iterdir()))
"""
FULL = 'mount -t tmpfs -o size=64k none "$0" && printf old > "$0/a"'
READ_ONLY = 'printf old > "$0/a" && mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (FULL, ["cannot be written (No space left on device)"]),
        (READ_ONLY, ["cannot be written (Read-only file system)"] * 2),
    ],
)
def test_a_full_disk_and_a_read_only_folder(tmp_path: Path, prepare: str, said: list[str]) -> None:
    if not mounts():
        # The same through limits and folders that anyone has: `test_no_room...` and `test_what_cannot...` above.
        prepare, said = 'printf old > "$0/a" && ulimit -f 64 && trap "" XFSZ', ["cannot be written (File too large)"]
    words = [*(["unshare", "-m"] if mounts() else []), "sh", "-c"]
    program = f'{prepare} && exec "$1" -c "$2" "$0/a"'
    done = subprocess.run(
        [*words, program, str(tmp_path), sys.executable, IN_MOUNTS], capture_output=True, text=True, check=False
    )
    path = tmp_path / "a"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [*(f"{path}: {text}" for text in said), "old ['a']"]


WRITERS = {
    "core/output.py": "the one that writes files",
    "runs/recording.py": "rows that only the next snapshot counts",
    "lava/backend.py": "the worker's log, in a folder of one run",
    "lava/exchange.py": "mapped arrays, in a folder of one run",
    "lava/probing.py": "by lava/exchange.py, in that folder",
    "campaign/record.py": "rows as lines, of which a torn last one is left out",
    "formats/verilog/synthesis.py": "input of yosys, in a folder of one run",
    "lava/alone/run.py": "a script of its own, which has nothing but lava-nc and numpy",
}
"""Modules that open files for writing, and why they need not be whole at every moment."""
CALLS = {"write_text", "write_bytes", "mkstemp", "NamedTemporaryFile", "savez", "savez_compressed", "tofile", "memmap"}


def writing_calls(source: str) -> list[str]:
    """Calls that put something into a file; `save`, `savefig` and `savez` into a buffer are none."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        into_buffer = any(isinstance(argument, ast.Name) and argument.id == "buffer" for argument in node.args)
        constants = [c.value for c in (*node.args, *(k.value for k in node.keywords)) if isinstance(c, ast.Constant)]
        modes = [m for m in constants if isinstance(m, str) and set(m) <= set("rwxab+t") and set(m) & set("wxa+")]
        if name in CALLS or (name in ("open", "fdopen", "open_memmap") and modes):
            found.append(name)
        if name in ("save", "savefig") and not into_buffer:
            found.append(name)
    return found


def test_files_are_written_in_one_place_only() -> None:
    sources = {path: path.read_text() for folder in ("", "cli") for path in (PACKAGE / folder).rglob("*.py")}
    writing = {str(path.relative_to(PACKAGE)) for path, source in sources.items() if writing_calls(source)}
    # A member of an archive in a stream, and what goes through a pipe to the parent.
    streams = {
        *("formats/netx/hdf5_reader.py", "formats/onnx/evaluation.py", "core/npy.py", "lava/worker.py"),
        *("training/safetensors_file.py", "training/trainer.py"),
    }
    assert writing - streams == set(WRITERS)


def test_another_writer_is_seen() -> None:
    for source in ("path.open('w')", "open(path, mode='ab')", "np.save(path, x)", "p.write_text('x')", "f.savefig(p)"):
        assert writing_calls(source), source
    assert not writing_calls("path.open('rb'); torch.save(content, buffer); ZipFile(p).read('x')")
