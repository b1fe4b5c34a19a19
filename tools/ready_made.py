"""Make the maps that come with the project, and the previews of those for pictures.

    python -m tools.ready_made [NAME ...]

Each of `assets/maps`, or those that are named, from its shipped prompt set with what suits the set
and the quick budget; looks, which are learnt both ways, take the normal one for it. Maps that
`python -m lineas_core evaluate` has learnt already, for a table in `assets/tables`, are taken as
they are: what is shipped is what was measured. The previews show one scene at five strengths.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from lineas_core import BUDGETS, PromptSet, SteeringMaps, fold, save_maps
from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.models import TextToImageModel
from lineas_core.tables.workbench import PROMPTS, Workbench

_ASSETS = Path(__file__).parents[1] / "assets"
_TOPICS = ("football", "night", "day", "elephant", "fishing")
_SETS = {
    **{f"{f.stem}-emoji-world": f for f in sorted((PROMPTS / "images").glob("*.json"))},
    **{f"{name}-smollm2-135m": PROMPTS / f"{name}.json" for name in _TOPICS},
    # SmolLM2 is civil enough by itself.
    **{f"{name}-gemma-3-270m": PROMPTS / f"{name}.json" for name in (*_TOPICS, "toxicity")},
}
# As the hub names the licences of the base models, which go for their maps.
_LICENSES = {"emoji-world": "mit", "smollm2-135m": "apache-2.0", "gemma-3-270m": "gemma"}
_SCENE, _SEED = "a castle in a meadow", 3


def main() -> None:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="none: all of them")
    options = parser.parse_args()
    bench = Workbench(_ASSETS / "tables" / "maps", print)
    for name in options.names or _SETS:
        prompts = PromptSet.load(_SETS[name])
        model = bench.model(name.removeprefix(f"{_SETS[name].stem}-"))
        budget = BUDGETS["normal" if prompts.settings["both_ways"] else "quick"]
        config = replace(budget, **prompts.settings)
        maps = bench.maps(model, prompts, config=config)
        maps.metadata["license"] = _LICENSES[model.name]
        folder = save_maps(maps, _ASSETS / "maps" / name, prompts=prompts)
        if isinstance(model, TextToImageModel):
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
