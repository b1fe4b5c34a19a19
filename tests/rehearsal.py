"""Run commands of `lineas` on few prompts, with few iterations and repetitions, one by one.

    python -m tests.rehearsal PROMPTS evaluate topics --edition paper , info FOLDER

`PROMPTS` is a folder that `write_prompts` made. Everything else is as the user runs it: the
commands, models, judges and files, and the hub that HF_ENDPOINT names. After each command a line
on stdout says how it ended.
"""

import sys
from dataclasses import replace
from functools import wraps
from pathlib import Path

from lineas_core import paths

ITERATIONS = 2
SEEDS = range(2)  # repetitions of the tables about toxicity, of which each learns maps
_LINES = 3


def write_prompts(folder):
    """Copy the shipped prompts, a few lines of each text file and all of each prompt set."""
    for file in paths.PROMPTS.rglob("*.*"):
        copy = folder / file.relative_to(paths.PROMPTS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        few = file.suffix in (".txt", ".tsv") and "templates" not in file.parts
        copy.write_text("".join(lines[:_LINES] if few else lines), encoding="utf-8")


def _with_few_iterations(learn_iter):
    @wraps(learn_iter)
    def learn_shortly(*arguments, config, **settings):
        return learn_iter(*arguments, config=replace(config, iterations=ITERATIONS), **settings)

    return learn_shortly


def _run(arguments):
    """Run one command; returns its exit status."""
    sys.argv = ["lineas", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return end.code or 0
    return 0


if __name__ == "__main__":
    paths.PROMPTS = Path(sys.argv[1])  # before the tables are imported
    from huggingface_hub import constants

    from lineas_core import cli

    constants.DOWNLOAD_CHUNK_SIZE = 1000  # a broken download goes on after whole chunks of 10 MB
    learning = sys.modules["lineas_core.learning.lineas"]  # the package hides it by a function
    learning.learn_iter = _with_few_iterations(learning.learn_iter)
    for table in ("published", "prose"):
        sys.modules[f"lineas_core.tables.{table}"].SEEDS = SEEDS
    commands = [[]]
    for word in sys.argv[2:]:
        if word == ",":
            commands.append([])
        else:
            commands[-1].append(word)
    for command in commands:
        sys.stdout.write(f"{' '.join(command)}: exit {_run(command)}\n")
        sys.stdout.flush()
