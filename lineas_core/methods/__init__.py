"""The methods LinEAS is compared with, one paper per file, and the table of all of them.

Each is called like `lineas_core.learn` and gives maps of the same kind, so that whatever works
with maps works with every method.
"""

from lineas_core.learning.config import BUDGETS
from lineas_core.learning.lineas import learn
from lineas_core.methods import aura, caa, iti_c, lin_act, mean_act
from lineas_core.methods.method import Method
from lineas_core.methods.prompting import INSTRUCTION, instructed

__all__ = ["INSTRUCTION", "METHODS", "Method", "instructed"]

METHODS = {
    method.name: method
    for method in (
        Method("lineas", "LinEAS: all maps together, end to end.", learn, BUDGETS["quick"]),
        lin_act.METHOD,
        mean_act.METHOD,
        iti_c.METHOD,
        caa.METHOD,
        caa.METHOD_MIDDLE,
        aura.METHOD,
    )
}
"""Name -> method; the first is what this project is about."""
