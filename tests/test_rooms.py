"""What never stands in which room (design of the house), checked on imports and calls."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8"))
    for room in ("lineas_core", "app")
    for file in sorted((ROOT / room).rglob("*.py"))
}
CORE = [name for name in FILES if name.startswith("lineas_core/")]
APP = [name for name in FILES if name.startswith("app/")]
UNDER_THE_PAGE = [n for n in APP if n.split("/")[1] in ("html", "jobs", "studio")]


def _imports(name):
    for node in ast.walk(FILES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def _calls(name):
    for node in ast.walk(FILES[name]):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("name", CORE)
def test_the_core_knows_no_page_no_figures_and_no_environment(name):
    drawing = set() if name == "lineas_core/tables/figure.py" else {"matplotlib"}
    assert not {"gradio", "argparse", "app", *drawing} & set(_imports(name))
    forbidden = {"print", "os.getenv", "torch.manual_seed", "random.seed"}
    assert not forbidden & set(_calls(name))
    assert "os.environ" not in ast.unparse(FILES[name])


@pytest.mark.parametrize("name", [n for n in CORE if not n.startswith("lineas_core/models/")])
def test_only_the_models_room_knows_transformers(name):
    assert not {"transformers", "diffusers", "huggingface_hub"} & set(_imports(name))


@pytest.mark.parametrize("name", [n for n in FILES if n != "lineas_core/steering/hooks.py"])
def test_every_forward_hook_is_registered_in_hooks(name):
    assert not [call for call in _calls(name) if call.endswith("register_forward_hook")]


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_unpickled_evaluated_or_trusted(name):
    assert not {"pickle", "dill", "joblib"} & set(_imports(name))
    forbidden = {"torch.load", "eval", "exec", "yaml.load"}
    if name == "lineas_core/models/unpickle.py":  # in a process of its own, tensors only
        forbidden.remove("torch.load")
        assert "weights_only=True" in ast.unparse(FILES[name])
    assert not forbidden & set(_calls(name))
    said = ast.unparse(FILES[name]).replace("trust_remote_code=False", "")
    assert "trust_remote_code" not in said
    assert not [node for node in ast.walk(FILES[name]) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("name", UNDER_THE_PAGE)
def test_what_lies_under_the_page_knows_no_gradio(name):
    assert "gradio" not in set(_imports(name))
