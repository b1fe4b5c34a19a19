"""Previews of a job as HTML."""

import pytest
from PIL import Image

from app.jobs.job import Job, JobRequest
from app.learn import html as learn_html
from lineas_core import LearnConfig, PromptSet
from lineas_core.methods import METHODS
from tests.app.fakes import MARKUP


def test_a_strip_is_shown_for_every_quarter(tmp_path):
    file = tmp_path / "preview-0-at-+1.png"
    Image.new("RGB", (512, 512), "red").save(file)
    records = [{"iteration": k, "strengths": [0.0, 1.0], "pictures": [file] * 2} for k in (0, 4)]
    drawing = learn_html.strips(MARKUP, records)
    assert drawing.count("data:image/jpeg") == 4
    assert drawing.index("after 4 iterations") < drawing.index("after 0 iterations")
    assert "original" in drawing
    assert "<img src=x" not in drawing


@pytest.mark.parametrize(
    ("method", "resume"),
    [
        ("lineas", "continue from the last checkpoint"),
        ("lrtc-rl", "continue from the last checkpoint"),
        ("lin-act", "start again"),
        ("reft", "start again"),
    ],
)
def test_an_interrupted_job_says_what_resume_does(method, resume):
    prompts = PromptSet(("a", "b"), ("c", "d"))
    request = JobRequest("Places", "m", prompts, METHODS[method].config, method=method)
    for state in ("interrupted", "hung"):
        job = Job("20260101-000000-00000000", request, state, created=0.0)
        assert f"press resume to {resume}" in learn_html.job_state(job).lower()


def test_the_menu_names_a_state_as_the_heading_does():
    request = JobRequest("Places", "m", PromptSet(("a", "b"), ("c", "d")), LearnConfig())
    for state, words in (("running", "learning"), ("hung", "the worker does not respond")):
        job = Job("20260101-000000-00000000", request, state, created=0.0)
        assert learn_html.job_choice(job) == f"Places · {words}"
        assert words in learn_html.job_state(job).lower()
