"""A real limit of memory, in processes of their own: one sentence, and work goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIMITED = """
import resource, sys
from pathlib import Path
import torch
from lineas_core import LearnConfig, UserError, learn, pictures
from lineas_core.runtime.memory import out_of_memory_as_user_error
from tests.fakes import hooks_of, tiny_image_model, tiny_language_model

def limit(megabytes):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), resource.RLIM_INFINITY))

def refused(work):
    try:
        with out_of_memory_as_user_error():
            work()
    except UserError as error:
        print(error.code, "|", error)
        return
    raise SystemExit("there was memory")

torch.set_num_threads(1)
"""
LEARNING = """
model, sides = tiny_language_model(), (["a b", "c d"], ["e f", "g h"])
small = LearnConfig(iterations=2)
before = learn(model, *sides, config=small)
long = ["a" * 400 + f" {k}" for k in range(400)]
limit(100)
refused(lambda: learn(model, long, long[::-1], config=small))
after = learn(model, *sides, config=small)
print(before.metadata == after.metadata and all(
    torch.equal(before[k].scale, after[k].scale) for k in before
), hooks_of(model.network))
"""
PAINTING = """
model = tiny_image_model()
before = pictures.paint(model, [], [[]], "a b", 0)[0].tobytes()
limit(60)
many = [[]] * 4_000
refused(lambda: pictures.paint(model, [], many, "a b", 0))
print(pictures.paint(model, [], [[]], "a b", 0)[0].tobytes() == before, hooks_of(model.network))
"""


@pytest.mark.slow
@pytest.mark.parametrize("work", [LEARNING, PAINTING], ids=["learning", "painting"])
def test_a_process_that_may_not_grow_says_so_and_works_on(work):
    command = [sys.executable, "-c", LIMITED + work]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    refusal, after = ended.stdout.splitlines()[-2:]
    assert refusal.startswith("E_MEMORY | ")
    assert after == "True []"
