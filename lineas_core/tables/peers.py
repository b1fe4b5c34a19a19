"""Other libraries that steer language models, in a Python environment of their own.

A library learns vectors from the same prompts as the other methods, by its own interface (see
`peers_script.py`), and hands them over in a safetensors file. They become maps that only shift, so
that their texts are written and counted as those of every other method. That this is what the
library itself does is checked each time: its own steered logits of a text have to be those of the
maps.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from filelock import FileLock
from safetensors.torch import load_file
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import FitConfig
from lineas_core.learning.facts import describe_run, heldout_distance
from lineas_core.learning.samples import UNTOUCHED, Samples
from lineas_core.methods import Method
from lineas_core.models.language import LanguageModel
from lineas_core.models.locations import locate
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.hooks import steer

__all__ = ["LIBRARIES", "Peer", "environment"]

LIBRARIES = {"steering-vectors": "0.12.2", "repeng": "0.4.0", "pyvene": "0.1.8"}
"""Name of a library -> the version that was tried."""
_BELOW = ("torch", "transformers", "accelerate", "safetensors", "gguf")  # in the versions here
# repeng needs an older numpy, and steering-vectors asks for an older transformers than it needs;
# so the libraries are installed without what they ask for, and that is listed here.
_NEEDED = ("numpy<2", "scikit-learn", "tqdm", "matplotlib", "datasets", "plotnine", "ipywidgets")
_SCRIPT = Path(__file__).with_name("peers_script.py")
_EQUAL = 1e-4  # relative difference of logits, in float32
_READY = "ready.json"


@dataclass(frozen=True)
class Peer:
    """Another library, with the interface of the methods.

    Attributes:
        library: a key of `LIBRARIES`.
        folder: of its environment, see `environment`.
    """

    library: str
    folder: Path

    @property
    def method(self) -> Method:
        """The method that learns with the library."""
        title = f"{self.library}: vectors that the library learns by its own interface."
        kinds = ("language",)
        name = f"peer: {self.library}"
        return Method(name, title, self.learn, FitConfig(), kinds=kinds, chats=False)

    def learn(
        self,
        model: LanguageModel,
        source: Sequence[str],
        target: Sequence[str],
        *,
        config: FitConfig,
        modules: Sequence[str],
        heldout: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> SteeringMaps:
        """Learn as `lineas_core.learn` does, from as many prompts as the shorter side has.

        Raises:
            UserError: the environment cannot be made or used, or the library steers otherwise
                than the maps.
        """
        count = min(len(source), len(target))
        job = {
            "model": str(locate(model.name).source),
            "source": source[:count],
            "target": target[:count],
            "modules": modules,
            "text": source[0],
        }
        maps, ids, logits = _learnt(self.library, environment(self.folder), job)
        difference = _difference(model, maps, ids, logits)
        if not difference <= _EQUAL:  # rather than `>`: NaN fails every comparison
            what = f"{self.library} steers otherwise than its vectors ({difference:.1e} apart)"
            remedy = f"Install version {LIBRARIES[self.library]} of it."
            raise UserError("E_PEERS", what, remedy=remedy)
        samples = Samples(model, source, target, config, list(maps))
        facts = describe_run(model, samples, self.method.name) | {"peer_difference": difference}
        if distance := heldout_distance([samples], heldout):
            facts |= {"heldout_start": distance(UNTOUCHED), "heldout": distance(maps)}
        return SteeringMaps(maps.maps, facts)


def environment(folder: Path) -> Path:
    """Make a Python environment with the libraries, unless it is there.

    Args:
        folder: of the environment, about 2 GB.

    Returns:
        Its Python.

    Raises:
        UserError: a package could not be installed.
    """
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ours = [f"{name}=={version(name).partition('+')[0]}" for name in _BELOW]
    theirs = [f"{name}=={number}" for name, number in LIBRARIES.items()]
    wanted = json.dumps([*ours, *_NEEDED, *theirs])
    ready = folder / _READY
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # another process may be making it
        if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
            install = [str(python), "-m", "pip", "install", "--quiet"]
            for command in (
                [sys.executable, "-m", "venv", "--clear", str(folder)],
                [*install, *ours, *_NEEDED],
                [*install, "--no-deps", *theirs],
            ):
                what = "the environment of the other libraries could not be made"
                _run(command, what, "Check the connection to the package index, and run it again.")
            ready.write_text(wanted, encoding="utf-8")
    return python


def _learnt(
    library: str, python: Path, job: dict[str, Any]
) -> tuple[SteeringMaps, Tensor, Tensor]:
    """Let a library learn; returns maps, and token ids of a text with its steered logits."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "job.json").write_text(json.dumps(job | {"library": library}), encoding="utf-8")
        what = f"{library} could not learn on {job['model']}"
        _run([str(python), "-I", str(_SCRIPT), place], what, "Choose another model.")
        tensors = load_file(folder / "vectors.safetensors")
    ids, logits = tensors.pop("ids"), tensors.pop("logits")
    shifts = {name.partition(":")[2]: shift for name, shift in tensors.items()}
    names = [name for name in job["modules"] if name in shifts]
    maps = {name: AffineMap(torch.ones_like(shifts[name]), shifts[name]) for name in names}
    return SteeringMaps(maps), ids, logits


@torch.no_grad()
def _difference(model: LanguageModel, maps: SteeringMaps, ids: Tensor, logits: Tensor) -> float:
    """Relative difference of the library's steered logits from those with the maps."""
    with steer(model.network, maps):
        ours = model.network(ids.to(model.network.device)).logits.float().cpu()
    return ((ours - logits).norm() / logits.norm()).item()


def _run(command: Sequence[str], what: str, remedy: str) -> None:
    """Run a command of the environment.

    Raises:
        UserError: it fails; `what` fails, with the last line that it wrote.
    """
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise UserError("E_PEERS", f"{what} ({lines[-1]})", remedy=remedy) from error
