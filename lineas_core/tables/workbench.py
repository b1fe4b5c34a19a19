"""What the tables share: models loaded one at a time, maps and figures made once and kept."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from scipy.stats import spearmanr

from lineas_core.learning.config import BUDGETS, FitConfig
from lineas_core.learning.lineas import Iterate
from lineas_core.methods import METHODS, Method
from lineas_core.models import load_model
from lineas_core.models.base import SteerableModel, fingerprint
from lineas_core.paths import PROMPTS
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.runtime.precision import native_bfloat16
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.hooks import find_modules
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.storage.maps import holds_maps, load_maps, save_maps

__all__ = [
    "LANGUAGE_BUDGET",
    "LANGUAGE_MODELS",
    "LINES",
    "OWN_STRENGTH",
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
LANGUAGE_BUDGET = {"small": "quick", "paper": "paper (language)"}
"""By edition, as the models above: what the tables about texts are made with."""
_OWN_LAYERS = {  # LinEAS, sections 4.1 and E; CAA and ITI-C as their papers have it
    **dict.fromkeys(("lin-act", "iti-c"), "attention-output"),
    **dict.fromkeys(("caa", "caa-mid"), r"model\.layers\.\d+"),
}
LINES: dict[str, dict[str, tuple[Method, dict[str, Any]]]] = {
    edition: {
        "lineas": (METHODS["lineas"], {}),
        "lineas, identity loss": (METHODS["lineas"], {"identity_loss": True}),
        "lineas, identity loss, shifts only": (
            METHODS["lineas"],
            {"identity_loss": True, "shift_only": True},
        ),
        **{
            name: (method, {"preset": layers[name]} if name in layers else {})
            for name, method in METHODS.items()
            if name != "lineas"
        },
    }
    for edition, layers in (("small", {}), ("paper", _OWN_LAYERS))
}
"""By edition, of tables that compare methods: name -> method, and what differs for it."""
OWN_STRENGTH = "A method whose own strength is not 1 (ITI-C: 0.5) is measured up to that."
_CHECKPOINT_SECONDS = 30


def lines_of(name: str) -> list[str]:
    """The lines of a text file among the prompts that come with the project."""
    return (PROMPTS / name).read_text(encoding="utf-8").splitlines()


def settings_of(method: str, budget: str, **changes: Any) -> FitConfig:
    """What a method learns with: LinEAS within a budget, the others by their own settings."""
    if method == "lineas":
        return replace(BUDGETS[budget], **changes)
    return METHODS[method].config


def facts_of(maps: SteeringMaps) -> dict[str, Any]:
    """Held-out distance, support of sparse maps, and how a run ended that did not end well."""
    made = maps.metadata
    names = {"heldout_start": "held-out before", "heldout": "after"}
    facts = {said: made[name] for name, said in names.items() if name in made}
    if made["config"].get("sparsity"):
        facts["support"] = maps.support
    return facts | end_of(maps)


def end_of(*learnt: SteeringMaps) -> dict[str, str]:
    """How runs ended that did not end well."""
    return {"end": "diverged"} if any(m.metadata.get("diverged") for m in learnt) else {}


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's: from -1 to 1, and 0 where either is the same everywhere."""
    vary = len(set(x)) > 1 and len(set(y)) > 1
    return float(spearmanr(x, y).statistic) if vary else 0.0


class Workbench:
    """Models, maps and rows of figures for the cells of a table."""

    def __init__(self, folder: Path, tell: Callable[[str], object]) -> None:
        """Keep maps and rows in a folder; `tell` is called with a line on every step."""
        self.folder, self.tell = folder, tell
        self._models: dict[torch.dtype | None, SteerableModel] = {}

    def model(self, name: str, dtype: torch.dtype | None = None) -> Any:
        """A model by its catalog name; one of another name is let go."""
        if any(model.name != name for model in self._models.values()):
            self._models.clear()
        if dtype not in self._models:
            self._models[dtype] = load_model(name, dtype=dtype)
        return self._models[dtype]

    def writer(self, name: str) -> Any:
        """A language model to generate with: three times as fast where bfloat16 is native."""
        device = self.model(name).network.device
        lower = device.type == "cpu" and native_bfloat16(device)
        return self.model(name, torch.bfloat16 if lower else None)

    def maps(
        self,
        model: SteerableModel,
        prompts: PromptSet,
        *,
        config: FitConfig,
        method: str = "lineas",
        preset: str | None = None,
    ) -> SteeringMaps:
        """Maps from the folder, or learnt now; LinEAS goes on where it was interrupted.

        Args:
            model: what to steer.
            prompts: the two sides.
            config: settings.
            method: a key of `METHODS`.
            preset: layer preset or pattern; None is the model's own.
        """
        modules = find_modules(model.network, preset) if preset else model.default_modules
        if config.pooling == "auto":
            config = replace(config, pooling=model.default_pooling)
        # All that the maps depend on, so that a changed prompt, default or model is learnt anew.
        weights = fingerprint(model.network, modules)
        digest = _digest([model.name, weights, asdict(prompts), asdict(config), method, modules])
        folder = self.folder / f"{prompts.name.lower().replace(' ', '-')}-{method}-{digest}"
        if holds_maps(folder):
            return load_maps(folder)
        settings: dict[str, Any] = {
            "config": config,
            "modules": modules,
            "heldout": (prompts.heldout_source, prompts.heldout_target),
        }
        checkpoint = folder.with_suffix(".safetensors")
        if method == "lineas":
            settings |= {"resume": _read(checkpoint), "watch": self._checkpoints(checkpoint)}
        maps = METHODS[method].learn(model, prompts.source, prompts.target, **settings)
        save_maps(maps, folder, prompts=prompts)
        checkpoint.unlink(missing_ok=True)
        return load_maps(folder)

    def row(self, facts: Sequence[Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A row of figures from the folder, or made now.

        Several cells have the same row: at λ = 0 no map has a say, and some have the same map.

        Args:
            facts: all that the figures depend on, as JSON has it.
            make: makes them.
        """
        file = self.folder / f"row-{_digest(facts)}.json"
        if not file.exists():
            made = json.dumps(make()).encode()
            with saving("the results are", self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                write_atomically(file, made)
        return json.loads(file.read_text(encoding="utf-8"))

    def _checkpoints(self, file: Path) -> Callable[[Iterate], None]:
        """What keeps the state of a run in a file, now and then."""
        saved = time.monotonic()

        def keep(iterate: Iterate) -> None:
            nonlocal saved
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                with saving("the run is", self.folder):
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(file, safetensors.torch.save(iterate.state))
                saved = time.monotonic()
                self.tell(f"    iteration {iterate.iteration}, loss {iterate.loss:.4g}")

        return keep


def _read(file: Path) -> dict[str, torch.Tensor] | None:
    return safetensors.torch.load(file.read_bytes()) if file.exists() else None


def _digest(facts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
