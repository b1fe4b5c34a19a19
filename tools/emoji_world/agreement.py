"""Whether ConceptScore agrees with what is left of a concept.

    python -m tools.emoji_world.agreement [--method mean-act]

Paints the scenes of `pairs.test_scenes` with each concept at nine strengths from 0 to 1, steered
by the shipped maps, or by those that another method learns from the same prompts: such maps leave
ghosts. For each concept, prints the rank correlation of the score with what is left (mean of the
scenes, each over its nine strengths, and of all pictures together), and how often the score is on
the right side of 0.5 where more than half of the concept is left, and where less than a tenth is.
What is left is `left_in_place` of an object, and 1 - `way_in_features` of a look.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from PIL.Image import Image
from scipy.stats import spearmanr

from lineas_core import PromptSet, SteeringMaps, load_maps, load_model
from lineas_core.evaluation.counterfactual import Concept
from lineas_core.methods import METHODS
from lineas_core.metrics.concept import concept_scores
from lineas_core.metrics.left_in_place import left_in_place, way_in_features
from lineas_core.models import TextToImageModel
from lineas_core.paths import ASSETS, PROMPTS
from lineas_core.steering.folding import fold
from tools.emoji_world.pairs import OBJECTS, STYLES, TEST_SEEDS, test_scenes

_STRENGTHS = np.linspace(0, 1, 9)
_AT_ONCE = 8


def _paint(model: TextToImageModel, prompts: Sequence[str]) -> list[Image]:
    starts = range(0, len(prompts), _AT_ONCE)
    parts = [slice(start, start + _AT_ONCE) for start in starts]
    return [p for each in parts for p in model.generate(prompts[each], seeds=TEST_SEEDS[each])]


def _measured(
    model: TextToImageModel, maps: SteeringMaps, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left, and the scores: (strengths, scenes) each; NaN where A shows nothing."""
    concept, scenes = Concept(maps.metadata["keywords"]), test_scenes()
    tagged = [concept.added(scene) for scene in scenes]
    a, b = _paint(model, tagged), _paint(model, scenes)
    replaced = [concept.replaced(prompt) or prompt for prompt in tagged]
    c = _paint(model, replaced) if name in OBJECTS else None
    left, scores = [], []
    for strength in _STRENGTHS:
        with fold(model.network, maps, float(strength)):
            s = _paint(model, tagged)
        ways = [] if c else [1 - way for way in way_in_features(a, b, s)]
        left.append(left_in_place(a, b, s, other=c) if c else ways)
        scores.append(concept_scores(s, name))
    return np.array(left), np.array(scores)


def _agreement(left: np.ndarray, scores: np.ndarray) -> list[float]:
    """Return the four figures of a concept."""
    shown = np.isfinite(left[0])
    left, scores = left[:, shown], scores[:, shown]
    pairs = zip(left.T, scores.T, strict=True)
    within = float(np.nanmean([spearmanr(*pair).statistic for pair in pairs]))
    pooled = float(spearmanr(left.ravel(), scores.ravel()).statistic)
    seen, gone = scores[left > 0.5] > 0.5, scores[left < 0.1] < 0.5
    return [within, pooled, seen.mean(), gone.mean() if len(gone) else np.nan]


def main() -> None:
    """Print a line for each concept, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--method", choices=METHODS, help="learn with it; default: shipped maps")
    method = parser.parse_args().method
    model = load_model("emoji-world")
    assert isinstance(model, TextToImageModel)
    lines = []
    print("| concept | within scenes | all pictures | seen | gone |\n|---|---|---|---|---|")
    for name in (*OBJECTS, *STYLES):
        maps = load_maps(ASSETS / "maps" / f"{name}-emoji-world")
        if method:
            prompts = PromptSet.load(PROMPTS / "images" / f"{name}.json")
            learnt = METHODS[method].learn(model, prompts.source, prompts.target)
            maps = SteeringMaps(learnt.maps, {**learnt.metadata, "keywords": prompts.keywords})
        lines.append(_agreement(*_measured(model, maps, name)))
        print(f"| {name} |", *(f"{figure:.2f} |" for figure in lines[-1]), flush=True)
    print("| mean |", *(f"{figure:.2f} |" for figure in np.nanmean(lines, axis=0)))


if __name__ == "__main__":
    main()
