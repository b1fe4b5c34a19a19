"""Shared by the tables: models, loaded one at a time, and a cache of maps and rows on disk."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from lineas_core.learning.checkpoints import Checkpoint
from lineas_core.learning.config import BUDGETS, FitConfig
from lineas_core.learning.lineas import Iterate
from lineas_core.methods import METHODS, Method
from lineas_core.methods.oracle import Judge
from lineas_core.metrics.insults import insults
from lineas_core.metrics.roberta_toxicity import roberta_toxicity
from lineas_core.models import load_model
from lineas_core.models.base import SteerableModel, fingerprint
from lineas_core.paths import PROMPTS
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.runtime.precision import native_bfloat16
from lineas_core.runtime.reporting import on_change
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.presets import find_modules
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.storage.maps import holds_maps, load_maps, save_maps
from lineas_core.tables.conditions import conditions

__all__ = [
    "FEW",
    "REWARDS",
    "LANGUAGE_BUDGET",
    "LANGUAGE_MODELS",
    "LINES",
    "ORACLES",
    "OWN_STRENGTH",
    "TOXICITY_MODELS",
    "Workbench",
    "end_of",
    "facts_of",
    "lines_of",
    "rank_correlation",
    "settings_of",
]

LANGUAGE_MODELS = {
    "small": ("smollm2-135m", "gemma-3-270m"),
    "paper": ("Qwen/Qwen2.5-1.5B", "google/gemma-2-2b"),
}
TOXICITY_MODELS = {
    "small": LANGUAGE_MODELS["small"][::-1],
    "paper": (
        *LANGUAGE_MODELS["paper"],
        "Qwen/Qwen2.5-7B",
        "deepseek-ai/deepseek-llm-7b-base",
    ),
}
"""Edition -> models of the tables about toxicity (LinEAS, Tables 1 and 7 to 9)."""
LANGUAGE_BUDGET = {"small": "quick", "paper": "paper (language)"}
"""Edition -> budget of the tables about texts, for the models above."""
REWARDS: dict[str, Judge] = {"small": insults, "paper": roberta_toxicity}
"""Edition -> the judge that the oracles learn from. The main judge of the small edition is another
one; in the paper's edition it is the same, as in the paper, and the others are reported beside."""
_ATTENTION = {"lofit-rl": "attention-output", "lrtc-rl": r".*[qkvo]_proj"}  # section I
_OWN_LAYERS = {  # LinEAS, sections 4.1 and E; CAA and ITI-C as in their papers
    **dict.fromkeys(("lin-act", "iti-c"), "attention-output"),
    **dict.fromkeys(("caa", "caa-mid", "reft"), r"model\.layers\.\d+"),
    **_ATTENTION,
}
ORACLES = (*_ATTENTION,)
"""Methods that learn from the judge; their lines take the longest, and need further packages."""
FEW = 0.3
"""Share of the coordinates that lines with few coordinates steer."""
_PAPER_STEPS = {"epochs": 10, "ppo_epochs": 20, "learning_rate": 1e-5}  # Table 11
LINES: dict[str, dict[str, tuple[Method, dict[str, Any]]]] = {
    edition: {
        "lineas": (METHODS["lineas"], {}),
        "lineas, identity loss": (METHODS["lineas"], {"identity_loss": True}),
        "lineas, identity loss, shifts only": (
            METHODS["lineas"],
            {"identity_loss": True, "shift_only": True},
        ),
        "lineas, identity loss, shifts only, few coordinates": (
            METHODS["lineas"],
            {"identity_loss": True, "shift_only": True, "support": FEW},
        ),
        "caa, few coordinates": (METHODS["caa"], {"support": FEW}),
        **{
            name: (
                method,
                ({"preset": layers[name]} if name in layers else {})
                | (_PAPER_STEPS if name in _ATTENTION and edition == "paper" else {}),
            )
            for name, method in METHODS.items()
            if name != "lineas"
        },
    }
    for edition, layers in (("small", _ATTENTION), ("paper", _OWN_LAYERS))
}
"""Edition -> lines of the tables that compare methods: name -> method, changed settings."""
OWN_STRENGTH = (
    "A method whose recommended strength is not 1 (ITI-C: 0.5) is measured up to that strength."
)


def lines_of(name: str) -> list[str]:
    """Read the lines of a text file in the folder of shipped prompts."""
    return (PROMPTS / name).read_text(encoding="utf-8").splitlines()


def settings_of(method: str, budget: str, **changes: Any) -> FitConfig:
    """Return the settings of a method, changed: a budget if it is iterative, else its defaults."""
    default = BUDGETS[budget] if METHODS[method].iterative else METHODS[method].config
    return replace(default, **changes)


def facts_of(maps: SteeringMaps) -> dict[str, Any]:
    """Return held-out distances, the support of sparse maps, and `end` if the run diverged."""
    metadata = maps.metadata
    names = {"heldout_start": "held-out before", "heldout": "after"}
    facts = {label: metadata[name] for name, label in names.items() if name in metadata}
    if metadata["config"].get("sparsity") or metadata["config"].get("support", 1) < 1:
        facts["support"] = maps.support
    return facts | end_of(maps)


def end_of(*learnt: SteeringMaps) -> dict[str, str]:
    """Return {"end": "diverged"} if one of the learning runs diverged, else {}."""
    return {"end": "diverged"} if any(m.metadata.get("diverged") for m in learnt) else {}


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Compute Spearman's rank correlation, -1 to 1; it is 0 if x or y is constant."""
    from scipy.stats import spearmanr  # takes a second to import

    vary = len(set(x)) > 1 and len(set(y)) > 1
    return float(spearmanr(x, y).statistic) if vary else 0.0


class Workbench:
    """Provides the cells of a table with models, and with maps and rows from a cache on disk.

    Attributes:
        used: device and precision of the models that were asked for; who computes a cell clears
            it before.
    """

    def __init__(
        self, folder: Path, report: Callable[[str], object], device: str | None = None
    ) -> None:
        """Keep maps and rows in a folder.

        Args:
            folder: created if missing.
            report: called with a line of text at every step.
            device: of the models, as in `load_model`.
        """
        self.folder, self.report, self._device = folder, report, device
        self._models: dict[tuple[str, torch.dtype | None], SteerableModel] = {}
        self.used: set[tuple[torch.device, torch.dtype]] = set()

    def model(self, name: str, dtype: torch.dtype | None = None) -> Any:
        """Load a model by its catalog name, and release models of other names."""
        model: Any = self._loaded(name, dtype)
        self.used.add((model.network.device, model.network.dtype))
        return model

    def _loaded(self, name: str, dtype: torch.dtype | None = None) -> Any:
        if any(other != name for other, _ in self._models):
            self._models.clear()
        if (name, dtype) not in self._models:
            self._models[name, dtype] = load_model(
                name, device=self._device, dtype=dtype, progress=on_change(self.report)
            )
        return self._models[name, dtype]

    def writer(self, name: str) -> Any:
        """Load a language model to generate with; native bfloat16 is three times as fast."""
        device = self._loaded(name).network.device
        lower = device.type == "cpu" and native_bfloat16(device)
        return self.model(name, torch.bfloat16 if lower else None)

    def maps(
        self,
        model: SteerableModel,
        prompts: PromptSet,
        *,
        config: FitConfig,
        method: str | Method = "lineas",
        preset: str | None = None,
        judge: Judge = insults,
    ) -> SteeringMaps:
        """Load maps from the cache, or learn them; an interrupted long run resumes.

        Args:
            model: the model to steer.
            prompts: source and target prompts.
            config: settings of the method.
            method: a key of `METHODS`, or a method that is not among them.
            preset: layer preset or pattern; None is the model's default preset.
            judge: what LoFIT-RL and LRTC-RL learn from.
        """
        method = METHODS[method] if isinstance(method, str) else method
        modules = find_modules(model.network, preset) if preset else model.default_modules
        if config.pooling == "auto":
            config = replace(config, pooling=model.default_pooling)
        # Everything that the maps depend on: a changed prompt, default or model gets new maps.
        steered = [fingerprint(model.network, modules), modules]
        facts = [*conditions(model), asdict(prompts), asdict(config), method.name, steered]
        if config.precision == "auto":
            facts.append(native_bfloat16(model.network.device))
        if method.checkpoints:
            facts.append(judge.__name__)
        digest = _digest(facts)
        folder = self.folder / f"{_file_name(f'{prompts.name}-{method.name}')}-{digest}"
        settings: dict[str, Any] = {
            "config": config,
            "modules": modules,
            "heldout": (prompts.heldout_source, prompts.heldout_target),
        }
        if method.checkpoints:
            settings |= {"judge": judge, "checkpoints": folder.with_suffix(".checkpoints")}
        if not holds_maps(folder):
            with self._alone(folder.name):
                if not holds_maps(folder):
                    self._learn(model, prompts, method, settings, folder)
        return load_maps(folder)

    def cached(self, facts: Sequence[Any], compute: Callable[[], Any]) -> Any:
        """Return a JSON value from the cache, or compute it.

        Several cells share a row: at λ = 0 the maps have no effect, and some have the same maps.

        Args:
            facts: everything that the value depends on, as JSON values.
            compute: returns the value.
        """
        file = self.folder / f"row-{_digest(facts)}.json"
        if not file.exists():
            with self._alone(file.stem):
                if not file.exists():
                    row = json.dumps(compute()).encode()
                    with saving("the results are", self.folder):
                        write_atomically(file, row)
        return json.loads(file.read_text(encoding="utf-8"))

    def _learn(
        self,
        model: SteerableModel,
        prompts: PromptSet,
        method: Method,
        settings: dict[str, Any],
        folder: Path,
    ) -> None:
        """Learn maps and save them; what an interrupted run has left is used and removed."""
        checkpoint = Checkpoint(folder.with_suffix(".safetensors"))

        def watch(iterate: Iterate) -> None:
            if checkpoint.write_if_due(iterate):
                self.report(f"    iteration {iterate.iteration}, loss {iterate.loss:.4g}")

        if method.iterative:
            settings |= {"resume": checkpoint.read(), "watch": watch}
        maps = method.learn(model, prompts.source, prompts.target, **settings)
        save_maps(maps, folder, prompts=prompts)
        checkpoint.remove()
        if method.checkpoints:
            shutil.rmtree(settings["checkpoints"], ignore_errors=True)

    def _alone(self, name: str) -> FileLock:
        """The lock for what several cells share: other processes wait for the result."""
        with saving("the results are", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{name}.lock")


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text.lower())


def _digest(facts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
