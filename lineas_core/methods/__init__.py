"""All methods: LinEAS and those it is compared with, each from one paper.

Every method is called like `lineas_core.learn` and returns `SteeringMaps`, so that all tools for
maps work with every method. `Method.kinds` says which kinds of models it can steer.
"""

from lineas_core.learning.config import BUDGETS
from lineas_core.learning.lineas import learn
from lineas_core.methods import (
    aura,
    caa,
    iti_c,
    lin_act,
    lofit_rl,
    lrtc_rl,
    mean_act,
    reft,
)
from lineas_core.methods.method import Method
from lineas_core.methods.prompting import INSTRUCTION, InstructedModel

__all__ = ["INSTRUCTION", "LINEAS", "METHODS", "InstructedModel", "Method"]

LINEAS = "lineas"
"""Name of the default method."""

_QUICK = BUDGETS["quick"]
METHODS = {
    method.name: method
    for method in (
        Method(LINEAS, "LinEAS: all maps together, end to end.", learn, _QUICK, passes=80),
        lin_act.METHOD,
        mean_act.METHOD,
        iti_c.METHOD,
        caa.METHOD,
        caa.METHOD_MIDDLE,
        aura.METHOD,
        reft.METHOD,
        lofit_rl.METHOD,
        lrtc_rl.METHOD,
    )
}
"""Name -> method, in the order in which menus show them."""
