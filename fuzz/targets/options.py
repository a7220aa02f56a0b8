"""Options of commands in pisnn.toml."""

from pathlib import Path

from click import Context

from fuzz.mutations import lines_changed
from fuzz.target import Target, literal
from pisnn_deploy.cli.config import defaults_of, read_config
from pisnn_deploy.cli.main import group

SEEDS = (
    b'[compile]\nprofile = "loihi2"\nmesh = "64x64"\nslope = 2.5\nexplain = true\n',
    b'[check]\nprofile = ["loihi2", "loihi1"]\nignore = "PD105"\nmax-growth = 2\n\n[verify]\nquiet = false\n',
)


def read_options(path: Path) -> None:
    """Read an options file and the defaults of each command."""
    for name, options in read_config(path).items():
        command = group.get_command(Context(group), name)
        if command is not None:
            defaults_of(command, options, path, named=False)


WORDS = (
    b"[simulate]\n",
    b"[train]\n",
    b"[[compile]]\n",
    b"[compile.x]\n",
    b"inf",
    b"nan",
    b"0x7f",
    b'"""',
    b"2001-01-01",
)
TARGET = Target("pisnn.toml", read_options, literal(*SEEDS), lines_changed, words=WORDS, size=1024)
