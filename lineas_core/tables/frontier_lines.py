"""The lines of the frontier: methods, with layers and settings that might do better.

Every method is measured at the layers that all of them have in the other tables, and the strongest
without iterations also at those of their papers: CAA at the residual stream, from the last token;
ITI-C and Lin-AcT at the outputs of the attention, where LinEAS, section 4.1, has them. Where both
are the same modules, the lines are the same, too. The late layers, the last third of a model's
default modules, are given to LinEAS and its closest rival alike, and so are the few coordinates in
which both sides differ most. There, LinEAS also learns shifts by gradient descent instead of Adam,
in as many steps or in ten; the former are the settings for topics on SmolLM2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lineas_core.methods import LINEAS, METHODS
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.presets import last_third
from lineas_core.tables.peers import LIBRARIES, Peer
from lineas_core.tables.workbench import FEW, LANGUAGE_BUDGET, Workbench, settings_of

__all__ = ["CORE", "OTHERS", "Line"]

_BLOCKS = r"model\.layers\.\d+"
_DESCENT = {"shift_only": True, "optimizer": "sgd", "learning_rate": 0.1}
_TEN_STEPS = _DESCENT | {"iterations": 10}


@dataclass(frozen=True)
class Line:
    """A way to learn maps.

    Attributes:
        method: a key of `METHODS`, or of `LIBRARIES` for another library.
        preset: layer preset or pattern; None is the model's default preset.
        late: whether only the last third of the model's default modules is steered.
        changes: settings that differ from the budget.
    """

    method: str
    preset: str | None = None
    late: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def closed_form(self) -> bool:
        """Whether it is a method of ours without iterations."""
        return self.method in METHODS and METHODS[self.method].passes == 1

    def maps(self, bench: Workbench, edition: str, model: str, prompts: PromptSet) -> SteeringMaps:
        """Learn the maps of a concept, or load them from the cache.

        Raises:
            UserError: another library cannot be used, with the code `E_PEERS`.
        """
        if self.method in LIBRARIES:
            method = Peer(self.method, bench.folder.parent / "peers").method
            config = method.config
        else:
            method = METHODS[self.method]
            config = settings_of(self.method, LANGUAGE_BUDGET[edition], **self.changes)
        loaded, preset = bench.model(model), self.preset
        if self.late:
            preset = "|".join(map(re.escape, last_third(loaded.default_modules)))
        return bench.maps(loaded, prompts, config=config, method=method, preset=preset)


CORE: Mapping[str, Line] = {
    **{name: Line(name) for name in (LINEAS, "caa")},
    **{f"{name}, late layers": Line(name, late=True) for name in (LINEAS, "caa")},
    "lineas, late layers, descent": Line(LINEAS, late=True, changes=_DESCENT),
    "lineas, late layers, ten steps": Line(LINEAS, late=True, changes=_TEN_STEPS),
    "lineas, late layers, few coordinates": Line(
        LINEAS, late=True, changes=_TEN_STEPS | {"support": FEW}
    ),
    "caa, late layers, few coordinates": Line("caa", late=True, changes={"support": FEW}),
    **{name: Line(name) for name in ("lin-act", "mean-act")},
}
"""Name on the page -> how maps are learnt, of the methods that tell most."""
OTHERS: Mapping[str, Line] = {
    "lineas, late layers, shifts only": Line(LINEAS, late=True, changes={"shift_only": True}),
    "lineas, late layers, all tokens": Line(LINEAS, late=True, changes={"pooling": "all"}),
    "lineas, identity loss": Line(LINEAS, changes={"identity_loss": True}),
    **{name: Line(name) for name in ("iti-c", "aura", "reft")},
    "caa, own layers": Line("caa", preset=_BLOCKS, changes={"pooling": "last"}),
    **{
        f"{name}, own layers": Line(name, preset="attention-output")
        for name in ("lin-act", "iti-c")
    },
    **{f"peer: {name}": Line(name, preset=_BLOCKS) for name in LIBRARIES},
    **{
        f"peer: {name}, our layers": Line(name)
        for name in LIBRARIES
        if name != "repeng"  # it steers blocks only
    },
}
"""The same of all others: settings and layers of these methods, other methods, libraries."""
