"""Every file keeps the rules of the house, and every rule finds what breaks it."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests import house_rules as rules
from tests.house import House
from tests.house_rules import LARGE, RULES, large_in, rooms_below

HOUSE = House(Path(__file__).parents[1])


@pytest.mark.parametrize("room", sorted({HOUSE.room(name) for name in HOUSE.files}))
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_room_keeps_the_rules(rule, room):
    answers = {n: rule(HOUSE, n) for n in HOUSE.files if HOUSE.room(n) == room}
    assert not {name: answer for name, answer in answers.items() if answer}


def test_no_rooms_import_each_other_in_a_circle():
    TopologicalSorter(rooms_below(HOUSE)).prepare()


@pytest.mark.parametrize("name", LARGE)
def test_an_exception_is_still_needed(name):
    modules = [module for module in HOUSE.files if name.startswith(module)]
    assert [name for module in modules if name in set(large_in(HOUSE, module))]


# One made-up tree for every rule that breaks it: file, text, and what the answer names.
TAB, FAR = "app/text/tab.py", "app/widgets/menu.py"
BROKEN = (
    (
        rules.nothing_runs_back_up,
        {"app/studio/maps.py": "def f():\n  from ..ui import x"},
        "app.ui",
    ),
    (
        rules.nothing_runs_back_up,
        {"lineas_core/steering/a.py": "from ..models import b"},
        "models",
    ),
    (
        rules.nothing_runs_back_up,
        {"app/widgets/menu.py": "from ..text.tab import x"},
        "app.text.tab",
    ),
    (rules.nothing_runs_back_up, {"app/attic/boxes.py": ""}, "app.attic is on no floor"),
    (
        rules.no_feature_reaches_another,
        {"app/images/tab.py": "from ..text import tab"},
        "app.text.tab",
    ),
    (
        rules.no_feature_reaches_another,
        {"app/images/tab.py": "from ..widgets.menu import x", FAR: "import app.text.tab"},
        "app.images.tab -> app.widgets.menu -> app.text.tab",
    ),
    (rules.no_gradio_below_the_page, {"app/html/basics.py": "import gradio as gr"}, "gradio"),
    (rules.no_gradio_below_the_page, {"app/text/html.py": "import gradio"}, "gradio"),
    (
        rules.no_gradio_below_the_page,
        {"app/jobs/job.py": "from ..events import x", "app/events.py": "def f(): import gradio"},
        "app.jobs.job -> app.events -> gradio",
    ),
    (
        rules.no_gradio_below_the_page,
        {"app/jobs/job.py": "from .. import paths", "app/__init__.py": "from gradio import x"},
        "gradio",
    ),
    (
        rules.html_lies_below_handlers,
        {
            "app/html/maps.py": "from ..text import html",
            "app/text/html.py": "from . import handlers",
        },
        "app.text.html -> app.text.handlers",
    ),
    (
        rules.the_core_knows_no_page_no_figures_and_no_environment,
        {"lineas_core/errors.py": "import matplotlib.pyplot"},
        "matplotlib",
    ),
    (
        rules.the_core_knows_no_page_no_figures_and_no_environment,
        {"lineas_core/errors.py": "import os\nos.environ['A']"},
        "os.environ",
    ),
    (
        rules.only_the_models_room_knows_transformers,
        {"lineas_core/errors.py": "def f():\n  from transformers import x"},
        "transformers",
    ),
    (
        rules.only_the_models_room_knows_transformers,
        {
            "lineas_core/tables/peers.py": "from lineas_core.tables.peers_script import load",
            "lineas_core/tables/peers_script.py": "import transformers",
        },
        "peers_script",
    ),
    (
        rules.forward_hooks_are_registered_in_one_file,
        {"app/ui.py": "a.b.register_forward_hook(c)"},
        "register_forward_hook",
    ),
    (rules.nothing_is_unpickled_evaluated_or_trusted, {"app/ui.py": "eval('1')"}, "eval"),
    (
        rules.nothing_is_unpickled_evaluated_or_trusted,
        {"app/ui.py": "f(trust_remote_code=a)"},
        "trust",
    ),
    (rules.nothing_is_unpickled_evaluated_or_trusted, {"app/ui.py": "assert a"}, "assert"),
    (rules.no_private_name_is_imported, {FAR: "from ..text.tab import _x"}, "app.text.tab._x"),
    (rules.private_attributes_are_left_alone, {"tests/test_a.py": "a.b._c = 1"}, "a.b._c"),
    (
        rules.private_attributes_are_left_alone,
        {"tests/test_a.py": "patch.setattr(a, '_b', 1)"},
        "_b",
    ),
    (rules.modules_and_functions_are_small, {"app/ui.py": "\n" * 301}, "app.ui"),
    (rules.modules_and_functions_are_small, {"app/ui.py": "def f():" + "\n  a" * 40}, "app.ui.f"),
    (
        rules.modules_and_functions_are_small,
        {"app/ui.py": "def f(a, b, c, d, e, *, f, g): 1"},
        "ui.f",
    ),
)


def _build(root, files):
    """A small house that keeps the rules, but for these files."""
    sound = {
        "app/__init__.py": "",
        "app/paths.py": "",
        "app/text/handlers.py": "import gradio\nfrom .html import x",
        "app/text/html.py": "from ..html.basics import x",
        "app/html/basics.py": "from lineas_core import x",
        "app/ui.py": "from .text.tab import x",
        TAB: "import gradio\nfrom . import handlers\nfrom ..widgets.menu import x",
        FAR: "import gradio",
        "lineas_core/__init__.py": "from lineas_core.models.b import x",
        "lineas_core/models/__init__.py": "",
        "lineas_core/models/b.py": "import transformers",
        "tests/test_a.py": "from app.ui import x\nself._a = x.__doc__",
    }
    for path, text in {**sound, **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return House(root)


def _broken(rule, house):
    return [line for name in house.files for line in rule(house, name)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_house_breaks_no_rule(rule, tmp_path):
    assert not _broken(rule, _build(tmp_path, {}))


@pytest.mark.parametrize(("rule", "files", "named"), BROKEN)
def test_a_rule_finds_what_breaks_it(rule, files, named, tmp_path):
    assert any(named in line for line in _broken(rule, _build(tmp_path, files)))


def test_every_rule_can_be_broken():
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def test_a_circle_of_rooms_is_found(tmp_path):
    circle = {"app/jobs/a.py": "from ..studio import b", "app/studio/b.py": "from ..jobs import a"}
    with pytest.raises(CycleError):
        TopologicalSorter(rooms_below(_build(tmp_path, circle))).prepare()
