"""The plan of a run is calculated from the configuration alone."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lineas_core import UserError, cli
from lineas_core.learning.plan import describe_learning, measure_pass
from lineas_core.models.outline import outline
from lineas_core.steering.presets import find_modules
from tests.architectures import tiny_model
from tests.fakes import save_model, tiny_language_model
from tests.pipelines import model_of

QWEN_72B = {  # of its published config.json
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 8192,
    "intermediate_size": 29568,
    "num_attention_heads": 64,
    "num_hidden_layers": 80,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "vocab_size": 152064,
}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("Qwen2.5-72B")
    (folder / "config.json").write_text(json.dumps(QWEN_72B))
    return outline(str(folder))


def test_the_weights_of_72_billion_parameters_need_two_gpus(large):
    names = find_modules(large, "post-layernorms")[:2]  # two layers are enough to count with
    one = measure_pass(large, names, tokens=16)
    lines = describe_learning(large, one, (32, 32), None).splitlines()
    assert lines[0] == "72.7 billion parameters, 145.4 GB; 16384 coordinates"
    assert "1 GPU: 145.4 GB of weights each, too large" in lines
    eight = next(line for line in lines if line.startswith("8 GPUs"))
    assert "--device auto: 18.2 GB of weights each, 32 prompts at a time" in eight
    assert not any("torchrun: " in line for line in lines)  # no copy fits on one GPU


def test_multiplications_are_those_of_the_layers_that_run(large):
    tokens, width, inner, key = 16, 8192, 29568, 1024
    names = find_modules(large, "post-layernorms")
    one, two = (measure_pass(large, names[:count], tokens).flops for count in (1, 2))
    weights = 2 * width * width + 2 * width * key + 3 * width * inner
    attention = 2 * tokens * tokens * width
    assert two - one == 2 * tokens * weights + 2 * attention


def test_blocks_that_are_computed_again_keep_less():
    model = tiny_language_model()
    one = measure_pass(model.network.to("meta"), model.default_modules, tokens=12)
    assert one.coordinates == 64
    assert 0 < one.kept_checkpointed < one.kept


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (
            tiny_language_model,
            ("6 tokens a prompt: 0.0 billion parameters", "4 GPUs, torchrun: "),
        ),
        (lambda: tiny_model("gptj"), ("6 tokens a prompt: ",)),  # has no norm after attention
        (
            lambda: model_of("sd"),
            ("32 pixels; 0.0 billion parameters (", "1 GPU: 2 prompts at a time"),
        ),
    ],
    ids=["texts", "texts by another preset", "pictures"],
)
def test_the_command_prints_the_plan_and_loads_no_weights(build, told, tmp_path):
    name = save_model(build(), tmp_path / "model")
    for file in Path(name).glob("**/*.safetensors"):
        file.unlink()
    rows = {"source": ["a b c", "b c d e"], "target": ["h g f", "g f e"]}
    (tmp_path / "set.json").write_text(json.dumps(rows))
    files = [str(tmp_path / "set.json"), str(tmp_path / "map")]
    found = CliRunner().invoke(cli.app, ["learn", *files, "--model", name, "--plan"])
    assert found.exit_code == 0, found.output
    assert all(each in found.stdout for each in told)
    assert not (tmp_path / "map").exists()


@pytest.mark.parametrize("name", ["emoji-world", "nowhere"])
def test_what_has_no_plan_is_one_sentence(name):
    with pytest.raises(UserError):
        outline(name)
