"""Time of short commands, most of which is start-up: writes ``docs/results/start_up.md``.

Run it from the root of a checkout: ``python -m benchmarks.start_up``. Commands run in turns, each in a process of its
own, with bytecode and kernels of a run before.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from functools import partial

from benchmarks.common import COMMAND, PAGES, cores, in_turns, line, load, page_parser, publish, table

PAGE = PAGES / "start_up.md"
ROUNDS = 9
MODEL = "heat1d"
PROCESSOR, CLOCK = "processor", "clock"
CASES: tuple[tuple[str, float, str], ...] = (
    ("--help", 0.1, PROCESSOR),
    (f"compile {MODEL} -o {{folder}}/compiled.pisnn", 0.7, CLOCK),
    (f"verify {{folder}}/{MODEL}.pisnn", 0.5, PROCESSOR),
    (f"check {{folder}}/{MODEL}.pisnn --profile loihi2", 0.5, PROCESSOR),
    (f"simulate {{folder}}/{MODEL}.pisnn --backend fast", 1.0, PROCESSOR),
)
"""Commands, with goals in seconds and what they are measured by."""


def times_of(words: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Seconds of a command: of its process and its children's, and by the clock.

    Raises
    ------
    SystemExit
        The command fails.
    """
    before, begun = os.times(), os.times().elapsed
    output = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0o600) for descriptor in (1, 2)]
    process = os.posix_spawn(COMMAND[0], [*COMMAND, *words], environment, file_actions=output)
    status = os.waitpid(process, 0)[1]
    after = os.times()
    if status:
        raise SystemExit(f"pisnn-deploy {' '.join(words)}: ended with status {status}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return {PROCESSOR: used, CLOCK: after.elapsed - begun}


def measured(folder: str) -> dict[str, list[dict[str, float]]]:
    """Times of all commands, by round."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode", "PISNN_KERNELS": f"{folder}/kernels"}
    times_of(["compile", MODEL, "-o", f"{folder}/{MODEL}.pisnn"], environment)
    measures = {case[0]: partial(times_of, case[0].format(folder=folder).split(), environment) for case in CASES}
    for measure in measures.values():
        measure()
    return in_turns(measures, ROUNDS)


def main() -> None:
    """Measure, write."""
    arguments = page_parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = measured(folder)
    rows = []
    for text, goal, clock in CASES:
        typical = {name: statistics.median(each[name] for each in rounds[text]) for name in (PROCESSOR, CLOCK)}
        least = min(each[clock] for each in rounds[text])
        shown = text.format(folder="").replace(" /", " ").replace("-o compiled.pisnn", f"-o {MODEL}.pisnn")
        limit = f"{goal:g} s by the clock" if clock == CLOCK else f"{goal:g} s"
        verdict = "yes" if typical[clock] < goal else f"no, at best {least:.2f}"
        rows.append(line(f"`{shown}`", f"{typical[PROCESSOR]:.2f}", f"{typical[CLOCK]:.2f}", limit, verdict))
        sys.stderr.write(f"{rows[-1]}\n")
    lines = "\n".join(table(("command", "processor time, s", "clock, s", "goal", "met"), rows))
    text = f"""# Start-up

Short commands on a model of the zoo, each in a process of its own, with bytecode and kernels on disk: medians of
{ROUNDS} rounds in turns on {cores()} cores, load average {load():.1f} at the end.

{lines}

Made by `python -m benchmarks.start_up`.
"""
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
