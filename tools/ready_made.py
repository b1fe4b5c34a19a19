"""Make the maps that come with the project, and the previews of those for pictures.

    python -m tools.ready_made [NAME ...]

Learns each map of `assets/maps`, or those that are named, from its shipped prompt set with the
settings that suit model and set: in the quick budget for texts, in the normal one for pictures.
Topics are learnt at all default layers, where they have more effect at λ = 1, also on SmolLM2. A
map that `lineas evaluate` has learnt for a table in `assets/tables` is copied instead, so that the
shipped maps are the measured ones. The previews show one scene at five strengths.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from lineas_core import PromptSet, SteeringMaps, fold, save_maps
from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.learning.config import suited_config
from lineas_core.models import TextToImageModel
from lineas_core.paths import ASSETS, PROMPTS
from lineas_core.tables.workbench import Workbench

_FOR_TEXTS = ("football", "night", "day", "elephant", "fishing", "toxicity")
_SETS = {
    **{f"{f.stem}-emoji-world": f for f in sorted((PROMPTS / "images").glob("*.json"))},
    **{
        f"{name}-{model}": PROMPTS / f"{name}.json"
        for model in ("smollm2-135m", "gemma-3-270m")
        for name in _FOR_TEXTS
    },
}
# Licences of the base models, by their identifiers on the hub; a map has that of its base model.
_LICENSES = {"emoji-world": "mit", "smollm2-135m": "apache-2.0", "gemma-3-270m": "gemma"}
_SCENE, _SEED = "a castle in a meadow", 3


def main() -> None:
    """Make the named maps, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all maps")
    options = parser.parse_args()
    bench = Workbench(ASSETS / "tables" / "maps", print)
    for name in options.names or _SETS:
        prompts = PromptSet.load(_SETS[name])
        model = bench.model(name.removeprefix(f"{_SETS[name].stem}-"))
        paints = isinstance(model, TextToImageModel)
        budget = "normal" if paints else "quick"
        config = suited_config(prompts.kind, budget, keeps_layout=model.keeps_layout)
        maps = bench.maps(model, prompts, config=config)
        maps.metadata["license"] = _LICENSES[model.name]
        folder = save_maps(maps, ASSETS / "maps" / name, prompts=prompts)
        if paints:
            _preview(model, maps, f"{_SCENE}, {prompts.keywords[0]}", folder / "previews")
        facts = maps.metadata
        print(f"{name}: held-out {facts['heldout_start']:.3f} to {facts['heldout']:.3f}")


def _preview(model: TextToImageModel, maps: SteeringMaps, prompt: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, strength in enumerate(STRENGTHS):
        with fold(model.network, maps, strength):
            (image,) = model.generate([prompt], seeds=[_SEED])
        image.save(folder / f"{number:02d}.jpg", quality=88)


if __name__ == "__main__":
    main()
