"""Learn the ready-made maps for pictures, and paint their previews.

    python -m tools.ready_made [NAME ...]

One map for each prompt set of `prompts/images` (or for those that are named), on emoji-world,
with the settings of the quick budget; the previews show one scene at five strengths.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from lineas_core import BUDGETS, PromptSet, SteeringMaps, fold, learn, load_model, save_maps
from lineas_core.evaluate import STRENGTHS
from lineas_core.models import TextToImageModel

_ROOT = Path(__file__).parents[1]
_SETS, _MAPS = _ROOT / "prompts" / "images", _ROOT / "assets" / "maps"
_MODEL = "emoji-world"
_SCENE, _SEED = "a castle in a meadow", 3


def main() -> None:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="stems of prompt sets; none: all of them")
    options = parser.parse_args()
    model = load_model(_MODEL)
    assert isinstance(model, TextToImageModel)
    for name in options.names or sorted(file.stem for file in _SETS.glob("*.json")):
        prompts = PromptSet.load(_SETS / f"{name}.json")
        maps = learn(
            model,
            prompts.source,
            prompts.target,
            config=BUDGETS["quick"],
            heldout=(prompts.heldout_source, prompts.heldout_target),
        )
        folder = save_maps(maps, _MAPS / f"{name}-{_MODEL}", prompts=prompts)
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
