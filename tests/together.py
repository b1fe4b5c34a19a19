"""Processes that learn one map together, started with the environment that torchrun sets."""

import multiprocessing
import os
import signal
import socket
from dataclasses import replace

import safetensors.torch

from lineas_core import LearnConfig, UserError, learn_iter
from lineas_core.runtime.processes import is_first, joined
from lineas_core.storage.disk import write_atomically
from tests.fakes import tiny_image_model, tiny_language_model

SOURCE = ["a b c", "b c d", "c d e f", "d e", "e f g", "f g h a", "g h"]
TARGET = ["h g f", "g f e", "f e d c", "e d", "d c b", "c b a h", "b a"]
_PLAIN = LearnConfig(iterations=8, precision="float32", heldout_every=4, optimizer="sgd")
CONFIGS = {
    "plain": _PLAIN,
    "adam": replace(_PLAIN, optimizer="adam", iterations=3),
    "both ways": replace(_PLAIN, both_ways=True, identity_loss=True),
    "sparsity": replace(_PLAIN, sparsity=0.3),
    "mini-batches in chunks": replace(_PLAIN, batch_size=5, micro_batch_size=1),
    "all tokens": replace(_PLAIN, pooling="all"),
    "fewer prompts than processes": replace(_PLAIN, batch_size=1),
    # A tiny network with random weights that makes pictures amplifies rounding errors.
    "pictures": replace(_PLAIN, compare="output", fresh_noise=True, iterations=1),
}
STOPPED = 4  # the iteration at which a run is interrupted


def learn_each(folder):
    """Learn with every configuration; the first process saves the last state of each."""
    for name, config in CONFIGS.items():
        *_, last = iterates(config, pictures=name == "pictures")
        _save(last, folder / name)


def learn_in_two_parts(folder):
    """Learn up to an iteration, and from the saved state to the end."""
    config = CONFIGS["plain"]
    first = next(i for i in iterates(config) if i.iteration == STOPPED)
    *_, last = iterates(config, resume=first.state)
    _save(last, folder / "resumed")


def learn_until_one_is_killed(folder):
    """Learn with a checkpoint at every iteration until the second process kills itself."""
    try:
        for iterate in iterates(CONFIGS["plain"]):
            _save(iterate, folder / "checkpoint")
            if iterate.iteration == STOPPED and not is_first():
                os.kill(os.getpid(), signal.SIGKILL)
    except UserError as error:
        (folder / "error").write_text(str(error))


def iterates(config, *, pictures=False, resume=None):
    """Learn on a tiny model; three held-out prompts are shared unevenly by two processes."""
    model = tiny_image_model() if pictures else tiny_language_model()
    held = SOURCE[:3], TARGET[:3]
    return learn_iter(model, SOURCE, TARGET, config=config, heldout=held, resume=resume)


def run_together(work, folder, size=2):
    """Call `work(folder)` in several processes; returns their exit codes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload([__name__])  # so that torch is imported once
    started = [
        start.Process(target=_as_rank, args=(work, folder, rank, size, port))
        for rank in range(size)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    return [process.exitcode for process in started]


def _as_rank(work, folder, rank, size, port):
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "tests"})
    with joined():
        work(folder)


def _save(iterate, file):
    if is_first():
        numbers = {"loss": iterate.loss, "heldout": iterate.heldout}
        facts = {name: str(number) for name, number in numbers.items()}
        write_atomically(file, safetensors.torch.save(iterate.state, facts))
