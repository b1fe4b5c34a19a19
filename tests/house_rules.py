"""The rules of the house (docs/architecture.md), checked on what the files import and call.

A rule is a function of the house and one module that returns what breaks it. Rooms are learnt
from the folders; a room that no floor names breaks a rule, so a new one has to be placed.
"""

import ast

from tests.house import private

BELOW_THE_PAGE = ("app.html", "app.jobs", "app.studio")
FEATURES = "the features"
# From the ground up. A room imports rooms of its own floor and of those below it.
FLOORS = (
    ("lineas_core.errors", "lineas_core.paths", "lineas_core.runtime"),
    ("lineas_core.steering",),
    ("lineas_core.models", "lineas_core.prompts"),
    ("lineas_core.learning", "lineas_core.storage"),
    ("lineas_core.methods", "lineas_core.metrics", "lineas_core.pictures"),
    ("lineas_core.evaluation", "lineas_core.serving"),
    ("lineas_core.tables",),
    ("lineas_core.__init__",),
    ("lineas_core.cli",),
    ("lineas_core.__main__",),
    ("app.__init__", "app.children", "app.paths"),
    BELOW_THE_PAGE,
    ("app.bodies", "app.endpoints", "app.log", "app.scripts"),
    ("app.uploads",),
    ("app.security",),
    ("app.openai_api",),
    ("app.events",),
    ("app.picture_files", "app.sessions", "app.streams", "app.turns"),
    ("app.widgets",),
    ("app.blocks",),
    (FEATURES,),
    ("app.ui",),
    ("app.launch",),
    ("app.__main__",),
)
EVENT = "a Gradio event hands over its components one by one"
LAYOUT = "a layout is declared from top to bottom"
ARGUMENTS = "the options of the command, or of the paper, by name"
KERNEL = "a GPU kernel takes addresses and sizes one by one"
# What may be longer than 300 lines, a function longer than 40 or of more than six parameters.
LARGE = {
    "app.chat.handlers.regenerate": EVENT,
    "app.chat.handlers.send": EVENT,
    "app.images.batch_handlers.paint": EVENT,
    "app.images.endpoint.make_pictures": ARGUMENTS,
    "app.images.grid_handlers.paint": EVENT,
    "app.images.handlers.generate": EVENT,
    "app.images.handlers.measure": EVENT,
    "app.images.methods_handlers.paint": EVENT,
    "app.images.methods_handlers.paint_learnt": EVENT,
    "app.images.overview_handlers.overview": EVENT,
    "app.launch.studio": ARGUMENTS,
    "app.learn.endpoint.learn": ARGUMENTS,
    "app.learn.form_handlers.start": EVENT,
    "app.text.batch_handlers.write": EVENT,
    "app.text.handlers.continue_text": EVENT,
    "app.text.handlers.generate": EVENT,
    "app.text.handlers.sweep": EVENT,
    "lineas_core.cli.generation.generate": ARGUMENTS,
    "lineas_core.cli.learning.learn": ARGUMENTS,
    "lineas_core.cli.measurement.evaluate": ARGUMENTS,
    "lineas_core.cli.serving.serve": ARGUMENTS,
    "lineas_core.learning.lineas.learn": ARGUMENTS,
    "lineas_core.learning.lineas.learn_iter": ARGUMENTS,
    "lineas_core.steering.fused_kernel._kernel": KERNEL,
}
# Runs in a Python environment of its own, so it may import what that has, and nothing imports it.
SCRIPT = "lineas_core.tables.peers_script"
# The functions that a test replaces although they are private; private limits may be replaced.
REPLACED = {"_begin_anew", "_free", "_learn", "_peak"}
# Torch has no public way to ask whether a module has hooks; named tuples and `os` have no other
# names.
PUBLIC = {"_forward_hooks", "_asdict", "_fields", "_make", "_replace", "_exit"}


def nothing_runs_back_up(house, name):
    here = _floor(house, name)
    if here is None:
        return [f"{house.room(name)} is on no floor"]
    ours = [there for there in house.imports[name] if _in_a_room(there)]
    return [f"{there} lies above" for there in ours if (_floor(house, there) or 0) > here]


def no_feature_reaches_another(house, name):
    if (ours := house.room(name)) not in house.features:
        return []
    others = house.features - {ours}
    return [_way(way) for there, way in house.reached(name).items() if house.room(there) in others]


def no_gradio_below_the_page(house, name):
    ways = house.reached(name) if _below_the_page(house, name) else {}
    return [_way(way) for there, way in ways.items() if there.split(".")[0] == "gradio"]


def html_lies_below_handlers(house, name):
    ways = house.reached(name) if house.room(name) == "app.html" or _is_html(name) else {}
    return [_way(way) for there, way in ways.items() if there.endswith("handlers")]


def the_core_knows_no_page_no_figures_and_no_environment(house, name):
    if not name.startswith("lineas_core"):
        return []
    unwanted = {"gradio", "argparse", "app", "matplotlib"}
    if name == "lineas_core.tables.figure":
        unwanted.remove("matplotlib")
    calls = {"print", "os.getenv", "torch.manual_seed", "random.seed"}
    environment = ["os.environ"] * ("os.environ" in ast.unparse(house.trees[name]))
    return [*unwanted & house.outside(name), *calls & house.calls(name), *environment]


def only_the_models_room_knows_transformers(house, name):
    room = house.room(name)
    if not name.startswith("lineas_core") or room == "lineas_core.models" or name == SCRIPT:
        return []
    unwanted = {"transformers", "diffusers", "huggingface_hub"}
    return [*unwanted & house.outside(name), *{SCRIPT} & house.imports[name]]


def forward_hooks_are_registered_in_one_file(house, name):
    if name == "lineas_core.steering.hooks" or name.startswith("tests"):
        return []
    return [call for call in house.calls(name) if call.endswith("register_forward_hook")]


def nothing_is_unpickled_evaluated_or_trusted(house, name):
    if name.startswith("tests"):
        return []
    text = ast.unparse(house.trees[name])
    calls = {"torch.load", "eval", "exec", "yaml.load"}
    if name == "lineas_core.models.unpickle" and "weights_only=True" in text:
        calls.remove("torch.load")  # in a process of its own, tensors only
    trusted = "trust_remote_code" in text.replace("trust_remote_code=False", "")
    asserts = [node for node in ast.walk(house.trees[name]) if isinstance(node, ast.Assert)]
    return [
        *{"pickle", "dill", "joblib"} & house.outside(name),
        *calls & house.calls(name),
        *["trust_remote_code"] * trusted,
        *[f"assert in line {node.lineno}" for node in asserts],
    ]


def no_private_name_is_imported(house, name):
    return list(house.private_imports(name))


def private_attributes_are_left_alone(house, name):
    if not name.startswith("tests"):
        return []
    nodes = list(ast.walk(house.trees[name]))
    touched = [
        ast.unparse(node)
        for node in nodes
        if isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in PUBLIC
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    named = [
        argument.value
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("setattr", "getattr"))
        for argument in node.args[:2]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    private_names = {n for name in named if private(n := name.split(".")[-1])}
    return touched + [n for n in private_names - REPLACED if not n.isupper()]


def modules_and_functions_are_small(house, name):
    return [] if name.startswith("tests") else [f for f in large_in(house, name) if f not in LARGE]


RULES = (
    nothing_runs_back_up,
    no_feature_reaches_another,
    no_gradio_below_the_page,
    html_lies_below_handlers,
    the_core_knows_no_page_no_figures_and_no_environment,
    only_the_models_room_knows_transformers,
    forward_hooks_are_registered_in_one_file,
    nothing_is_unpickled_evaluated_or_trusted,
    no_private_name_is_imported,
    private_attributes_are_left_alone,
    modules_and_functions_are_small,
)


def _floor(house, name):
    room = FEATURES if house.room(name) in house.features else house.room(name)
    if name.split(".")[0] == "tests":
        return len(FLOORS)
    return next((number for number, floor in enumerate(FLOORS) if room in floor), None)


def _in_a_room(name):
    return name.split(".")[0] in ("app", "lineas_core", "tests")


def _below_the_page(house, name):
    return house.room(name) in BELOW_THE_PAGE or _is_html(name)


def _is_html(name):
    return name.startswith("app.") and name.endswith(".html")


def large_in(house, name):
    """The names of what is too large in a module."""
    if len(house.texts[name].splitlines()) > 300:
        yield name
    for function in house.functions(name):
        parts = function.args
        given = {p.arg for p in (*parts.posonlyargs, *parts.args, *parts.kwonlyargs)}
        if _lines(function) > 40 or len(given - {"self", "cls"}) > 6:
            yield f"{name}.{function.name}"


def _lines(function):
    """The lines of a function without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = first.end_lineno - first.lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


def _way(way):
    return " -> ".join(way)


def rooms_below(house):
    """Every room with those that it imports."""
    rooms = {house.room(name): set() for name in house.within("app", "lineas_core")}
    for name in house.within("app", "lineas_core"):
        theirs = {house.room(there) for there in house.imports[name] if there in house.files}
        rooms[house.room(name)] |= theirs - {house.room(name)}
    return rooms
