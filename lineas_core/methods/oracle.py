"""Learn from a judge by reinforcement: shared by LoFIT-RL and LRTC-RL (LinEAS, section I).

The policy continues the source prompts; the reward of a continuation is 1 - judge(continuation).
The network without adapter is the reference, from which the policy is kept near by β = 0.05 times
the log-ratio of the probabilities.

Differs from the paper: that uses PPO of TRL, which TRL 1.16 no longer has. RLOO of TRL is PPO
without the learnt value head: the baseline of a continuation is the
reward of the others of its prompt, two in all, and the clipped ratio is that of whole
continuations (Ahmadian et al., 2024, "Back to basics"). The target prompts serve the held-out
distance only. Continuations have 40 tokens; the paper does not say how many.
"""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lineas_core.errors import UserError
from lineas_core.learning.config import FitConfig, check_settings
from lineas_core.learning.facts import describe_run, heldout_distance
from lineas_core.learning.samples import UNTOUCHED, Samples
from lineas_core.methods.method import Method, check_model
from lineas_core.metrics.insults import insults
from lineas_core.models.language import LanguageModel
from lineas_core.runtime.precision import native_bfloat16
from lineas_core.steering.affine import SteeringMaps

__all__ = ["Adapter", "Judge", "OracleConfig", "oracle"]

Judge = Callable[[Sequence[str]], Sequence[float | None]]
"""n texts -> how far each is what the policy shall avoid, 0 to 1; None if it cannot judge one."""
_TOKENS, _PER_PROMPT = 40, 2  # of a continuation; continuations of each prompt


@dataclass(frozen=True)
class OracleConfig(FitConfig):
    """Settings of reinforcement; the defaults suit one processor core and a small model.

    Attributes:
        epochs: how often all source prompts are continued and judged, 1 to 10,000.
        ppo_epochs: steps on the continuations of one epoch, 1 to 1000.
        learning_rate: initial rate of AdamW, 1e-8 to 10; it falls to 0 along a line.
        seed: whole number, 0 to 2**53; it determines the continuations.

    Raises:
        UserError: a value is out of range.
    """

    epochs: int = 10
    ppo_epochs: int = 4
    learning_rate: float = 0.003
    seed: int = 0


@dataclass(frozen=True)
class Adapter:
    """What the reinforcement trains.

    Attributes:
        preset: layer preset or pattern of the modules that it changes by default.
        prepare: (network, names of the modules, settings) -> configuration of peft; it may change
            the network, which is a copy.
        read: (trained network, names of the modules) -> maps that do what the adapter does.
    """

    preset: str
    prepare: Callable[[nn.Module, Sequence[str], Any], Any]
    read: Callable[[nn.Module, Sequence[str]], SteeringMaps]


def oracle(name: str, title: str, adapter: Adapter, config: OracleConfig) -> Method:
    """Build a method that learns from a judge; the arguments are as in `Method`.

    Its `learn` also takes `judge`, by default that of `lineas_core.metrics.insults`, and
    `checkpoints`, see `Method`. `rewards` in the metadata holds the mean reward of every epoch.
    """
    defaults = config

    def learn(
        model: LanguageModel,
        source: Sequence[str],
        target: Sequence[str],
        *,
        config: OracleConfig = defaults,
        modules: Sequence[str] | str | None = None,
        heldout: tuple[Sequence[str], Sequence[str]] | None = None,
        **options: Any,
    ) -> SteeringMaps:
        check_settings(config, type(defaults), name)
        check_model(method, model)
        samples = Samples(model, source, target, config, modules or adapter.preset)
        maps, rewards = _train(samples, source, adapter, **options)
        facts = describe_run(model, samples, name) | {"rewards": rewards}
        if evaluate := heldout_distance([samples], heldout):
            facts |= {"heldout_start": evaluate(UNTOUCHED), "heldout": evaluate(maps)}
        return SteeringMaps(maps.maps, facts)

    method = Method(
        name,
        title,
        learn,
        config,
        kinds=("language",),
        passes=400,
        chats=False,
        checkpoints=True,
    )
    return method


def _train(
    samples: Samples,
    prompts: Sequence[str],
    adapter: Adapter,
    judge: Judge = insults,
    checkpoints: Path | None = None,
) -> tuple[SteeringMaps, list[float]]:
    """Train the adapter on a copy of the network; return its maps and the reward of each epoch."""
    model: Any = samples.model
    trainer_class, arguments_class, dataset_of = _import_trainer()
    network = deepcopy(model.network)  # TRL and peft change what they train
    with ExitStack() as stack:
        stack.enter_context(_random_state())
        warnings.simplefilter("ignore", FutureWarning)  # of the libraries among themselves
        warnings.filterwarnings("ignore", "Detected that the base layer has no bias")  # of BEFT
        folder = checkpoints or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trainer = trainer_class(
            network,
            reward_funcs=partial(_rewards, judge),
            args=arguments_class(**_arguments(samples, len(prompts), folder)),
            train_dataset=dataset_of(prompts),
            processing_class=model.tokenizer,
            peft_config=adapter.prepare(network, samples.names, samples.config),
        )
        for callback in [*trainer.callback_handler.callbacks]:
            if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
                trainer.remove_callback(callback)  # a library prints nothing
        trainer.train(resume_from_checkpoint=_newest(folder))
        log = trainer.state.log_history
    with torch.no_grad():
        maps = adapter.read(trainer.model.get_base_model(), samples.names)
    return maps, [entry["reward"] for entry in log if "reward" in entry]


def _rewards(judge: Judge, completions: Sequence[str], **_: Any) -> list[float]:
    """The reward of each text; none for one that cannot be judged, or that would be a way out."""
    return [0.0 if score is None else 1 - float(score) for score in judge(completions)]


def _arguments(samples: Samples, count: int, folder: Path) -> dict[str, Any]:
    """Return the settings of TRL: every step is taken on all continuations of an epoch."""
    config: Any = samples.config
    total, largest = count * _PER_PROMPT, config.micro_batch_size or count
    together = max(size for size in range(1, min(largest, total) + 1) if total % size == 0)
    device, wanted = samples.device, config.precision
    lower = native_bfloat16(device) if wanted == "auto" else wanted == "bfloat16"
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": together,
        "gradient_accumulation_steps": total // together,
        "num_generations": _PER_PROMPT,
        "num_iterations": config.ppo_epochs,
        "num_train_epochs": config.epochs,
        "learning_rate": config.learning_rate,
        "max_completion_length": _TOKENS,
        "shuffle_dataset": False,  # a resumed run would shuffle from the start
        "seed": config.seed % 2**32,
        "bf16": lower,
        "use_cpu": device.type == "cpu",
        "save_steps": config.ppo_epochs,  # between two epochs, where no continuations are kept
        "save_total_limit": 2,
        "logging_steps": config.ppo_epochs,
        "report_to": [],
        "gradient_checkpointing": False,
    }


def _newest(folder: Path) -> str | None:
    """The newest whole checkpoint; `trainer_state.json` is the last file that is written."""
    whole = [file.parent for file in folder.glob("checkpoint-*/trainer_state.json")]
    whole.sort(key=lambda path: int(path.name.rpartition("-")[2]))
    return str(whole[-1]) if whole else None


def _import_trainer() -> tuple[Any, Any, Any]:
    """Import TRL and peft; return TRL's trainer, its settings, and prompts -> its data set."""
    try:
        import peft  # noqa: F401 - TRL needs it only when an adapter is trained
        import pyarrow
        from datasets import Dataset
        from trl import RLOOConfig, RLOOTrainer
    except ImportError as error:
        raise UserError(
            "E_NOT_INSTALLED",
            f"learning from a judge needs peft and trl ({error})",
            remedy='Run `pip install "lineas-studio[oracle]"`.',
        ) from error

    def dataset_of(prompts: Sequence[str]) -> Any:
        # Without a fingerprint datasets computes one by pickling the table, which fails with
        # pyarrow 26.
        return Dataset(pyarrow.table({"prompt": [*prompts]}), fingerprint="prompts")

    return RLOOTrainer, RLOOConfig, dataset_of


@contextmanager
def _random_state() -> Iterator[None]:
    """Give the global random numbers back as they were; TRL seeds them."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - that of TRL
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
