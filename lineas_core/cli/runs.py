"""A run of a method from the command line: reports, checkpoints, and what is saved at its end."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from lineas_core.errors import UserError
from lineas_core.learning.checkpoints import Checkpoint
from lineas_core.learning.config import FitConfig
from lineas_core.learning.facts import describe_start
from lineas_core.learning.lineas import Iterate, learn_iter
from lineas_core.methods import Method
from lineas_core.models.base import SteerableModel
from lineas_core.prompts.matching import are_matched, describe_matching
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.runtime.processes import is_first
from lineas_core.steering.affine import SteeringMaps
from lineas_core.storage.disk import put_back
from lineas_core.storage.maps import check_vacant, holds_maps, read_metadata, save_maps

__all__ = [
    "Learner",
    "ignore_stops",
    "make_folder",
    "note_matching",
    "report",
    "save_best",
    "stoppable",
]

_STOPS = (signal.SIGINT, signal.SIGTERM)


def report(line: str) -> None:
    """Print a line to stderr, once for all processes that learn together."""
    if is_first():
        typer.echo(line, err=True)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM, which schedulers and `docker stop` send, do what Ctrl-C does."""
    before = {number: signal.getsignal(number) for number in _STOPS}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stops() -> None:
    """Ignore Ctrl-C and SIGTERM until the end of `stoppable`, while the result is saved."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)


def make_folder(folder: Path, checkpoint: Path | None, *, overwrite: bool) -> None:
    """Create the folder for the map before learning, which can take an hour.

    Args:
        folder: the folder.
        checkpoint: the file from which an interrupted run continues; such a run may replace what
            it has saved so far.
        overwrite: whether any other map may be replaced, too.

    Raises:
        UserError: the folder holds a map that must not be replaced, or a file of somebody else.
    """
    put_back(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot create the folder for the map ({error.strerror})"
        raise typer.BadParameter(reason, param_hint="OUTPUT") from None
    check_vacant(folder)
    goes_on = checkpoint is not None and checkpoint.is_file() and not _holds_finished(folder)
    if holds_maps(folder) and not (overwrite or goes_on):
        raise UserError(
            "E_FILE",
            "the folder holds a map",
            where=str(folder),
            remedy="Give another folder, or --overwrite to replace the map; an interrupted run "
            "continues with the --checkpoint that it was started with.",
        )


def save_best(maps: SteeringMaps, folder: Path, data: PromptSet, checkpoint: Path | None) -> None:
    """Save the best maps of a run that has not ended, unless that loses something, and say so."""
    iteration = maps.metadata["iteration"]
    best = f"the best maps so far, of iteration {iteration},"
    if not iteration:
        told = "no map is saved, because none is better yet than the unsteered model"
    elif _holds_finished(folder):
        told = f"the finished map in {folder} stays, and {best} are not saved"
    else:
        save_maps(maps, folder, prompts=data)
        typer.echo(str(folder))
        told = f"{best} are saved in {folder}"
    how = "the same command continues"
    if not (checkpoint and checkpoint.is_file()):
        again = "--overwrite and " if holds_maps(folder) else ""
        how = f"start anew, with {again}--checkpoint FILE to be able to continue"
    report(f"{told[0].upper()}{told[1:]}; {how}.")


def note_matching(kind: str, data: PromptSet, config: FitConfig) -> list[str]:
    """Say that a set for pictures is not matched, unless the user has said whether it is.

    Args:
        kind: kind of the model, see `SteerableModel`.
        data: the set.
        config: settings of the run.
    """
    chosen = getattr(config, "matched", "auto") != "auto"
    if kind != "text-to-image" or chosen or are_matched(data.source, data.target):
        return []
    told = describe_matching(data.source, data.target)
    # Without mini-batches all lines are taken anyway.
    how = " --matched takes them as pairs." if getattr(config, "batch_size", None) else ""
    return [told + how]


def _holds_finished(folder: Path) -> bool:
    """Return whether a folder holds maps other than those of a run that was interrupted."""
    try:
        facts = read_metadata(folder)
        return not facts["iteration"] < facts["config"]["iterations"]
    except (LookupError, TypeError, UserError):  # of another method, or damaged
        return holds_maps(folder)


@dataclass(frozen=True)
class Learner:
    """What is learnt: by which method, on which model, from which prompts, how, and where."""

    method: Method
    model: SteerableModel
    data: PromptSet
    config: FitConfig
    modules: str | None

    def learn(self, file: Path | None) -> tuple[SteeringMaps, int]:
        """Learn maps, with checkpoints if there is a file; return them with the exit status.

        A method that keeps checkpoints of its own has a folder of that name for them.
        """
        data = self.data
        arguments: dict[str, Any] = {
            "config": self.config,
            "modules": self.modules,
            "heldout": (data.heldout_source, data.heldout_target),
        }
        if not self.method.iterative:
            states = file / self._digest() if file else None  # of this very run
            if states:
                arguments["checkpoints"] = states
            maps = self.method.learn(self.model, data.source, data.target, **arguments)
            if states:
                shutil.rmtree(states, ignore_errors=True)
            return maps, 0
        checkpoint = Checkpoint(file, self._digest()) if file else None
        state = checkpoint.read() if checkpoint else None
        run = learn_iter(self.model, data.source, data.target, **arguments, resume=state)
        return _run_and_report(run, checkpoint if is_first() else None)

    def _digest(self) -> str:
        facts = [self.model.name, asdict(self.data), asdict(self.config), self.modules]
        if denoising := getattr(self.model, "denoising", None):  # of pictures
            facts.append(denoising.facts())
        if getattr(self.model, "chat", False):  # only then, so that earlier checkpoints stay valid
            facts.append("chat")
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _run_and_report(
    run: Iterable[Iterate], checkpoint: Checkpoint | None
) -> tuple[SteeringMaps, int]:
    """Run to the end, report every iterate, and return the maps and the exit status.

    The maps are the last ones; after Ctrl-C, SIGTERM or a failure they are the best ones so far.
    """
    last = None
    try:
        for last in run:
            heldout = "" if last.heldout is None else f"  held-out {last.heldout:.4f}"
            report(f"{last.iteration:5d}  loss {last.loss:.4f}{heldout}")
            if last.iteration == 0 and (note := describe_start(last.loss)):
                report(f"note: {note}")
            if checkpoint:
                checkpoint.write_if_due(last)
    except KeyboardInterrupt:
        if last is None:
            report("No map is saved, because learning has not begun; run the command again.")
            raise SystemExit(130) from None
        ignore_stops()
        if checkpoint:
            checkpoint.write(last)
        return last.best_maps, 130
    except UserError as error:
        if last is None or not is_first():
            raise
        if checkpoint and error.code != "E_DIVERGED":
            checkpoint.write(last)
        typer.echo(f"error: {error}", err=True)
        return last.best_maps, 1
    if checkpoint:
        checkpoint.remove()
    return last.maps, 0  # type: ignore[union-attr]
