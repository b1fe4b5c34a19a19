"""Jobs that learn at other denoising steps than the first."""

import shutil

import pytest

from app.jobs.job import JobRequest
from app.jobs.queue import Jobs
from app.jobs.worker import work
from lineas_core import LearnConfig, PromptSet, load_maps
from tests.fakes import save_model
from tests.pipelines import model_of

PROMPTS = PromptSet(("a b", "c d"), ("e", "f"))


@pytest.fixture
def learnt(tmp_path):
    """Return a function from the denoising of a job to the job and the folder of its map."""
    model = save_model(model_of("sd"), tmp_path / "model")
    jobs = Jobs(tmp_path / "jobs", python=shutil.which("false"))

    def learn(**denoising):
        config = LearnConfig(iterations=2)
        job = jobs.submit(JobRequest("Letters", model, PROMPTS, config, denoising=denoising))
        work(jobs)
        return jobs.get(job)

    return learn


def test_a_job_learns_at_its_steps_as_a_mean(learnt):
    job = learnt(num_inference_steps=3, guidance_scale=2.5, learn_at=[0, 2])
    assert (job.state, job.message) == ("done", "")
    facts = load_maps(job.map_folder).metadata["denoising"]
    assert (facts["num_inference_steps"], facts["guidance_scale"]) == (3, 2.5)
    assert [*facts["learn_at"]] == [0, 2]


def test_a_step_that_the_model_does_not_have_is_one_sentence(learnt):
    job = learnt(num_inference_steps=3, learn_at=[3])
    assert job.state == "failed"
    assert "learn_at is [3]" in job.message
    assert "Give different steps from 0 to 2." in job.message
