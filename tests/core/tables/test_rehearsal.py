"""The paper's edition, rehearsed with tiny models under the true ids of a stand-in for the hub."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lineas_core.tables import TABLES
from lineas_core.tables.sources import JIGSAW, MMLU, TET, WIKIPEDIA
from tests.hub import TOKEN, serve
from tests.hub_data import jigsaw, mmlu, real_toxicity_prompts, tet, truthfulqa, wikipedia
from tests.hub_models import write_models
from tests.rehearsal import write_prompts

ROOT = Path(__file__).parents[3]
QWEN, GEMMA = "model=Qwen/Qwen2.5-1.5B", "model=google/gemma-2-2b"
DEEPSEEK = "model=deepseek-ai/deepseek-llm-7b-base"
# One or two cells of every table, each model, judge and data set at least once.
CELLS = {
    "concepts": ("concept=robot",),
    "layers": ("concept=robot", "layers=attention-v"),
    "picture-sparsity": ("concept=robot", "γ=0.2"),
    "picture-data": ("concept=robot", "prompts a side=4"),
    "picture-methods": ("concept=robot", "method=lin-act", "method=iti-c"),
    "frontier": (QWEN, "concept=night", "method=lineas", "method=caa"),
    "topics": (QWEN, "topic=night"),
    "toxicity": (GEMMA, "method=lineas", "method=lin-act, 1024 prompts", "method=prompting"),
    "text-layers": (QWEN, "layers=attention-output", "method=iti-c"),
    "text-sparsity": ("γ=0.01",),
    "text-data": ("prompts a side=4",),
    "composition": (GEMMA, "topics=football + night", "method=lineas"),
    "optimisers": (GEMMA,),
    "prose": (QWEN, DEEPSEEK, "method=lineas", "method=caa"),
    "truthfulness": (QWEN, "method=lin-act"),
    "similarity": ("γ=0.5",),
    "timing": ("method=lineas",),
}
PACKAGES = {  # that a table needs besides those of requirements.txt
    **dict.fromkeys(("toxicity", "text-layers", "text-sparsity", "text-data"), "lm_eval"),
    "prose": "pyarrow",
    "truthfulness": "lm_eval",
}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prompts")
    write_prompts(folder)
    return folder


def _evaluate(table, *only, output="results"):
    options = [word for pair in only for word in ("--only", pair)]
    return ["evaluate", table, "--edition", "paper", "--output-dir", output, *options]


def _rehearse(hub_url, prompts, folder, commands, **environment):
    """Run commands in one process; returns the exit status of each, and what was on stderr."""
    known = {
        "HF_ENDPOINT": hub_url,
        "HF_HOME": f"{folder}/hub",
        "XDG_CACHE_HOME": f"{folder}/cache",
    }
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    kept = {n: v for n, v in os.environ.items() if n not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
    words = [word for command in commands for word in (",", *command)][1:]
    run = subprocess.run(
        [sys.executable, "-m", "tests.rehearsal", str(prompts), *words],
        env={**kept, "PYTHONPATH": path, **known, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    ends = [line for line in run.stdout.splitlines() if ": exit " in line]
    with (folder / "rehearsal.log").open("a", encoding="utf-8") as log:
        log.write(run.stdout + run.stderr)
    assert len(ends) == len(commands), run.stderr[-3000:]
    return [int(line.rpartition(" ")[2]) for line in ends], run.stderr


def test_a_table_is_made_from_the_hub_and_a_gated_model_says_what_to_do(tmp_path, prompts):
    names = ["Qwen/Qwen2.5-1.5B", "google/gemma-2-2b"]
    repositories = write_models(tmp_path / "models", names)
    with serve(repositories) as hub:
        hub.cuts = {"model.safetensors": [5500, 20500]}
        commands = [
            _evaluate("frontier", GEMMA, "concept=night", "method=caa"),
            _evaluate("frontier", QWEN, "concept=night", "method=caa"),
        ]
        ends, said = _rehearse(hub.url, prompts, tmp_path, commands)
    assert ends == [1, 0]
    assert "accept its terms at https://huggingface.co/google/gemma-2-2b, and run `hf auth" in said
    assert "Traceback" not in said
    assert ": 1 of " in (tmp_path / "results/frontier-paper.md").read_text(encoding="utf-8")
    ranges = [
        asked for _, path, asked in hub.asked if path.endswith("/model.safetensors") and asked
    ]
    assert ranges == ["bytes=5000-", "bytes=25000-"]  # a broken download goes on where it stood


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models")) | _data()


def _data():
    """The data sets that can be written with the packages that are installed."""
    data = {"datasets/allenai/real-toxicity-prompts": real_toxicity_prompts()}
    data[f"datasets/{JIGSAW}"] = jigsaw()
    if find_spec("pyarrow"):
        data[f"datasets/{TET}"] = tet()
        data[f"datasets/{WIKIPEDIA}"] = wikipedia()
        data[f"datasets/{MMLU}"] = mmlu()
        data["datasets/truthfulqa/truthful_qa"] = truthfulqa()
    return data


@pytest.mark.slow
def test_every_table_runs_to_its_end_and_again_without_the_hub(tmp_path, prompts, repositories):
    assert CELLS.keys() == TABLES.keys()
    names = [name for name in CELLS if name not in PACKAGES or find_spec(PACKAGES[name])]
    with serve(repositories) as hub:
        commands = [_evaluate(name, *CELLS[name]) for name in names]
        ends, said = _rehearse(hub.url, prompts, tmp_path, commands, HF_TOKEN=TOKEN)
    assert dict(zip(names, ends, strict=True)) == dict.fromkeys(names, 0), said[-3000:]
    assert all((tmp_path / f"results/{name}-paper.md").is_file() for name in names)
    loaded = [path for path in hub.downloads("/store/") if "unet" in path]
    assert [path.rpartition("/")[2] for path in loaded] == ["dmd2_sdxl_1step_unet_fp16.bin"]
    # The models, judges and data sets are in the cache; nothing answers at the address now.
    again = [_evaluate(name, *CELLS[name], output="again") for name in names]
    ends, said = _rehearse(hub.url, prompts, tmp_path, again)
    assert dict(zip(names, ends, strict=True)) == dict.fromkeys(names, 0), said[-3000:]


@pytest.mark.slow
def test_a_hub_that_goes_away_or_resets_is_one_sentence_and_the_next_run_goes_on(
    tmp_path, prompts, repositories
):
    pytest.importorskip("lm_eval")  # which the table of toxicity needs
    commands = [
        _evaluate("frontier", GEMMA, "concept=night", "method=caa"),
        _evaluate("toxicity", QWEN, "method=caa"),
        _evaluate("concepts", "concept=robot"),
    ]
    with serve(repositories) as hub:
        hub.resets = True
        hub.cuts = {"model-00002-of-00003.safetensors": [5000], "pytorch_model.bin": [5000]}
        hub.leaves_at = "dmd2_sdxl_1step_unet_fp16.bin"
        ends, said = _rehearse(hub.url, prompts, tmp_path, commands, HF_TOKEN=TOKEN)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert ends == [1, 1, 1]
    assert "Traceback" not in said
    reasons = [r"broke off", r"broke off", r"does not answer"]
    assert [reason in line for reason, line in zip(reasons, errors, strict=True)] == [True] * 3
    assert all("Run it again with a connection" in line for line in errors)
    whole = set(hub.downloads("model.safetensors"))  # Qwen's
    with serve(repositories) as hub:
        ends, said = _rehearse(hub.url, prompts, tmp_path, commands, HF_TOKEN=TOKEN)
    assert ends == [0, 0, 0], said[-3000:]
    assert not whole & set(hub.downloads())
