"""LinEAS: end-to-end learning of activation steering with a distributional loss.

Learn a map from two sets of prompts, then generate with the map at any strength from -1 to 1:

    model = load_model("smollm2-135m")
    data = PromptSet.load("prompts/football.json")
    maps = learn(model, data.source, data.target, **suited(model, data))
    with steer(model.network, maps, strength=0.8):
        texts = model.generate(["Once upon a time"], seeds=[0])

Shapes in docstrings: n and m prompts, t tokens, d coordinates of one module, D of all modules,
h and w height and width, v words of the vocabulary.
"""

from lineas_core.errors import UserError
from lineas_core.learning.config import BUDGETS, FitConfig, LearnConfig, SelectConfig
from lineas_core.learning.lineas import Iterate, learn, learn_iter
from lineas_core.learning.suited import suited
from lineas_core.learning.wasserstein import wasserstein_1d
from lineas_core.models import load_model
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.affine import AffineMap, SteeringMaps, compose
from lineas_core.steering.folding import fold
from lineas_core.steering.hooks import record, steer
from lineas_core.steering.low_rank import LowRankMap
from lineas_core.steering.presets import find_modules
from lineas_core.storage.fits import check_fits
from lineas_core.storage.maps import load_maps, save_maps
from lineas_core.storage.publishing import push_maps

__all__ = [
    "BUDGETS",
    "AffineMap",
    "FitConfig",
    "Iterate",
    "LearnConfig",
    "LowRankMap",
    "PromptSet",
    "SelectConfig",
    "SteeringMaps",
    "UserError",
    "check_fits",
    "compose",
    "find_modules",
    "fold",
    "learn",
    "learn_iter",
    "load_maps",
    "load_model",
    "push_maps",
    "record",
    "save_maps",
    "steer",
    "suited",
    "wasserstein_1d",
]
