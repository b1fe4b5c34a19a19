"""Jobs whose files are damaged."""

import json
import shutil
from dataclasses import replace

import pytest
from PIL import Image

from app.jobs.files import read_records
from app.jobs.job import Job, JobRequest
from app.jobs.queue import Jobs
from app.studio.user_maps import UserMaps
from lineas_core import PromptSet, SteeringMaps, UserError, save_maps
from tests.app.fakes import MAPS
from tests.full_disk import full_disk

JOB = "20260101-000000-abcd"
PROMPTS = PromptSet(("a", "b"), ("x", "y"), name="Letters")
LINES = [
    json.dumps({"iteration": k, "loss": 2.0 - k / 4, "elapsed": float(k), "best": True}).encode()
    for k in range(5)
]
BAD_LINES = (
    b"",
    b"{",
    b"\x00\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b'{"iteration": "3", "elapsed": 1}',
    b'{"iteration": 3, "elapsed": NaN}',
    b"[" * 100_000,
)


@pytest.fixture
def jobs(tmp_path):
    """A job that is done, with a map and five records; a worker would fail at once."""
    jobs = Jobs(tmp_path / "jobs", python=shutil.which("false"))
    folder = jobs.folder / JOB
    folder.mkdir()
    jobs.write(Job(JOB, JobRequest("Learnt", "smollm2-135m", PROMPTS), "done", created=1.0))
    facts = {"title": "Learnt", "model": "smollm2-135m"}
    save_maps(SteeringMaps(MAPS.maps, facts), folder / "map", prompts=PROMPTS)
    _write(jobs, LINES)
    return jobs


def _write(jobs, lines):
    (jobs.folder / JOB / "records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_costs_one_record_and_is_named(jobs, tmp_path, bad, place):
    _write(jobs, [*LINES[:place], bad, *LINES[place + 1 :]])
    (job,) = jobs.list()
    assert (job.state, job.message) == (
        "done",
        f"Line {place + 1} of records.jsonl is damaged and left out.",
    )
    assert [r["iteration"] for r in jobs.records(JOB)] == [k for k in range(5) if k != place]
    assert jobs.previews(JOB) == []
    assert [entry.id for entry in UserMaps(tmp_path / "maps", jobs).maps()] == [JOB]


def test_several_bad_lines_are_named_together(jobs):
    _write(jobs, [LINES[0], b"?", LINES[2], b"?", b"?"])
    assert jobs.get(JOB).message == "Lines 2, 4-5 of records.jsonl are damaged and left out."
    assert jobs.get(JOB).iteration == 2


def test_records_without_a_readable_line_leave_the_job_and_its_map(jobs):
    _write(jobs, [b"?", b"?"])
    job = jobs.get(JOB)
    assert (job.state, job.iteration, job.elapsed) == ("done", 0, 0)
    assert job.map_folder


def test_the_damage_is_shown_but_not_saved_with_the_job(jobs):
    _write(jobs, [b"?", *LINES[1:]])
    jobs.rename(JOB, "Renamed")
    job = jobs.get(JOB)
    assert job.request.title == "Renamed"
    assert job.message.count("damaged") == 1


def test_a_line_that_a_crash_has_cut_is_no_damage(tmp_path):
    (tmp_path / "records.jsonl").write_bytes(LINES[0] + b"\n" + LINES[1][:-4])
    records = read_records(tmp_path)
    assert (len(records.readable), records.damage) == (1, "")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"null", b"[]", b"{}", b"[" * 100_000])
def test_a_job_without_its_description_is_shown_with_what_its_map_tells(jobs, tmp_path, content):
    (jobs.folder / JOB / "job.json").write_bytes(content)
    (job,) = jobs.list()
    assert job.state == "failed"
    assert "job.json" in job.message
    assert (job.request.title, job.request.model) == ("Learnt", "smollm2-135m")
    assert job.request.prompts == PROMPTS
    user_maps = UserMaps(tmp_path / "maps", jobs)
    assert [entry.title for entry in user_maps.maps()] == ["Learnt"]
    with pytest.raises(UserError, match=r"cannot be resumed.*job\.json"):
        jobs.resume(JOB)
    user_maps.rename(JOB, "Still here")
    assert [entry.title for entry in user_maps.maps()] == ["Still here"]
    assert (jobs.folder / JOB / "job.json").read_bytes() == content
    jobs.delete(JOB)
    assert jobs.list() == []


def test_a_job_of_which_nothing_can_be_read_is_still_listed(jobs):
    shutil.rmtree(jobs.folder / JOB / "map")
    (jobs.folder / JOB / "job.json").unlink()
    (job,) = jobs.list()
    assert (job.id, job.request.title, job.map_folder) == (JOB, JOB, None)


def test_damaged_previews_are_left_out_with_their_strengths(jobs):
    folder, names = jobs.folder / JOB, ["whole.png", "cut.png", "missing.png", "../x.png", 7]
    for name in names[:2]:
        Image.new("RGB", (64, 64), "red").save(folder / name)
    Image.new("RGB", (8, 8)).save(jobs.folder / "x.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:-30])
    record = {"iteration": 4, "elapsed": 1, "pictures": names, "strengths": [-1, -0.5, 0, 0.5, 1]}
    _write(jobs, [json.dumps(record).encode()])
    (preview,) = jobs.previews(JOB)
    assert (preview["pictures"], preview["strengths"]) == ([folder / "whole.png"], [-1])


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"7"])
def test_damaged_losses_of_the_modules_are_left_out(jobs, content):
    (jobs.folder / JOB / "modules.json").write_bytes(content)
    assert jobs.modules(JOB) == {}


def test_a_job_that_is_over_is_read_again_once_it_changes(jobs):
    assert jobs.get(JOB).state == "done"
    jobs.write(replace(jobs.get(JOB), state="stopped"))
    assert jobs.get(JOB).state == "stopped"


def test_on_a_full_disk_no_job_is_made_and_the_user_is_told(jobs):
    request = jobs.get(JOB).request
    with full_disk(), pytest.raises(UserError, match="the job was not saved.*Free some disk"):
        jobs.submit(request)
    assert [path.name for path in jobs.folder.iterdir() if path.is_dir()] == [JOB]


def test_on_a_full_disk_a_job_is_not_resumed_and_stays_as_it_is(jobs):
    jobs.write(replace(jobs.get(JOB), state="stopped"))
    (jobs.folder / JOB / "stop").touch()
    with full_disk(), pytest.raises(UserError, match="the job was not resumed.*Free some disk"):
        jobs.resume(JOB)
    assert jobs.get(JOB).state == "stopped"
    jobs.resume(JOB)
    assert json.loads((jobs.folder / JOB / "job.json").read_bytes())["state"] == "queued"


def test_killed_writes_are_swept_unless_a_worker_is_running(jobs):
    left = jobs.folder / JOB / ".job.json.abc.unfinished"
    folder = jobs.folder / ".20260101-000001-abcd.x.unfinished"
    folder.mkdir()
    left.touch()
    with jobs.lock.hold():
        jobs.sweep()
    assert left.exists()
    assert [job.id for job in jobs.list()] == [JOB]
    jobs.sweep()
    assert not left.exists()
    assert not folder.exists()
    assert jobs.get(JOB).state == "done"
