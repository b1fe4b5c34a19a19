import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import app.jobs.worker
import app.jobs.workers
from app.jobs.job import STARTED, Job, JobRequest
from app.jobs.queue import Jobs
from app.jobs.worker import work
from lineas_core import LearnConfig, PromptSet, UserError, load_maps
from lineas_core.learning.problem import Problem
from lineas_core.methods import METHODS
from lineas_core.methods.iti_c import ItiConfig
from tests.fakes import ask_for_a_petabyte, save_model, tiny_language_model
from tests.full_disk import full_disk

PROMPTS = PromptSet(
    source=("a grey cat", "the old dog", "one red hen", "my own cow"),
    target=("in the blue sky", "over the sea", "under a tree", "by the lake"),
    heldout_source=("a wild fox", "the fat pig"),
    heldout_target=("at the shore", "on the hill"),
    description="Places instead of animals.",
)
LONG = LearnConfig(iterations=80, precision="float32")
SHORT = replace(LONG, iterations=4)


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def workers(folder):
    """Process ids of the workers of a folder of jobs."""
    wanted = [b"app.jobs.worker", str(folder).encode()]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile
            continue
        if arguments[2:4] == wanted:
            found.append(int(process.name))
    return found


def prepared_worker(jobs):
    """Process id of a worker that waits for a job."""
    jobs.prepare()
    wait_until(lambda: workers(jobs.folder))  # its arguments appear a moment after its start
    (prepared,) = workers(jobs.folder)
    return prepared


def states_on_disk(folder):
    """State of every job as its worker wrote it."""
    return [json.loads(file.read_bytes())["state"] for file in folder.glob("*/job.json")]


def program(file, code):
    """A Python program that stands in for the interpreter of a worker."""
    file.write_text(f"#!{sys.executable}\n{code}")
    file.chmod(0o700)
    return str(file)


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    model = save_model(tiny_language_model(), tmp_path_factory.mktemp("model"))
    return JobRequest("Places", model, PROMPTS, LONG, preview_prompt="once upon a time")


@pytest.fixture(scope="module")
def day(tmp_path_factory, request_):
    """One worker's day: jobs that end in every way, side by side in one queue."""
    jobs = Jobs(tmp_path_factory.mktemp("jobs"))
    full = jobs.submit(request_)
    missing = jobs.submit(replace(request_, model="no-such-model"))
    cancelled = jobs.submit(request_)
    jobs.stop(cancelled)
    stopped = jobs.submit(request_)
    after = jobs.submit(replace(request_, config=SHORT, preset=".*input_layernorm"))
    at_first = {job.id: job for job in jobs.list()}
    wait_until(lambda: jobs.get(stopped).iteration >= 5)
    jobs.stop(stopped)
    jobs.stop(stopped)
    wait_until(lambda: jobs.get(after).state == "done")
    wait_until(lambda: not workers(jobs.folder))
    return SimpleNamespace(**locals())


@pytest.fixture
def idle(tmp_path):
    """Jobs whose worker fails at once."""
    return Jobs(tmp_path, python=shutil.which("false"))


def test_a_job_runs_to_done_and_its_map_loads(day):
    job = day.jobs.get(day.full)
    assert (job.state, job.message, job.iteration) == ("done", "", LONG.iterations)
    maps = load_maps(job.map_folder)
    assert maps.metadata["iteration"] == LONG.iterations
    assert maps.metadata["title"] == "Places"
    assert list(day.jobs.modules(day.full)) == list(maps)


def test_a_job_leaves_one_record_per_iterate_and_a_preview_per_quarter(day):
    records = day.jobs.records(day.full)
    assert [record["iteration"] for record in records] == list(range(LONG.iterations + 1))
    assert records[-1]["loss"] < records[0]["loss"]
    assert records[-1]["heldout"] is not None
    assert records[-1]["elapsed"] == day.jobs.get(day.full).elapsed > 0
    previews = day.jobs.previews(day.full)
    assert [preview["iteration"] for preview in previews] == [0, 20, 40, 60, 80]
    assert all(preview["strength"] == 1.0 and preview["text"] for preview in previews)


def test_jobs_wait_in_the_order_in_which_they_came(day):
    positions = {job_id: job.position for job_id, job in day.at_first.items()}
    waiting = [day.missing, day.stopped, day.after]
    assert [positions[job_id] for job_id in waiting] in ([1, 2, 3], [2, 3, 4])
    assert day.at_first[day.after].state == "queued"
    assert [job.id for job in day.jobs.list()][::-1] == [
        day.full,
        day.missing,
        day.cancelled,
        day.stopped,
        day.after,
    ]


def test_a_job_that_fails_says_why_and_the_next_one_runs(day):
    job = day.jobs.get(day.missing)
    assert job.state == "failed"
    assert "no-such-model" in job.message
    assert job.map_folder is None
    assert list(load_maps(day.jobs.get(day.after).map_folder)) == [
        "model.layers.0.input_layernorm",
        "model.layers.1.input_layernorm",
    ]


def test_a_job_stopped_in_the_queue_never_runs(day):
    assert day.at_first[day.cancelled].state == "stopped"
    assert day.jobs.get(day.cancelled).state == "stopped"
    assert day.jobs.records(day.cancelled) == []


def test_a_stopped_job_keeps_its_best_map(day):
    job = day.jobs.get(day.stopped)
    assert job.state == "stopped"
    assert 5 <= job.iteration < LONG.iterations
    losses = [record["loss"] for record in day.jobs.records(day.stopped)]
    assert load_maps(job.map_folder).metadata["loss"] == min(losses)


def test_a_job_stopped_killed_and_resumed_ends_with_the_very_same_map(day, tmp_path):
    jobs, job_id = Jobs(tmp_path), day.stopped
    shutil.copytree(day.jobs.folder / job_id, tmp_path / job_id)
    before = jobs.get(job_id)

    jobs.resume(job_id)
    wait_until(lambda: jobs.get(job_id).iteration > before.iteration + 5)
    assert jobs.get(job_id).state == "running"
    for worker in workers(tmp_path):
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: jobs.get(job_id).state == "interrupted", seconds=5)
    so_far = [record["iteration"] for record in jobs.records(job_id)]
    assert so_far == list(range(len(so_far)))

    jobs.resume(job_id)
    wait_until(lambda: jobs.get(job_id).state == "done")
    resumed, full = (
        load_maps(jobs.get(job_id).map_folder),
        load_maps(day.jobs.get(day.full).map_folder),
    )
    assert resumed.metadata == full.metadata  # with the checksum of every scale and shift

    records, undisturbed = jobs.records(job_id), day.jobs.records(day.full)
    elapsed = [record.pop("elapsed") for record in records]
    assert elapsed == sorted(elapsed)
    assert elapsed[-1] > before.elapsed
    assert records == [{k: v for k, v in r.items() if k != "elapsed"} for r in undisturbed]


_STUCK = """
import threading
import lineas_core.models as models

def load_model(name, load=models.load_model, **options):
    return threading.Event().wait() if name == "stuck" else load(name, **options)

models.load_model = load_model
"""


@pytest.fixture
def stuck_model(tmp_path, monkeypatch):
    """Name of a model whose load never ends in the processes started from here on."""
    (tmp_path / "sitecustomize.py").write_text(_STUCK)
    root = Path(app.jobs.worker.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{root}")
    return "stuck"


def test_a_stop_while_the_model_is_loaded_acts_at_once_and_the_next_job_runs(
    request_, stuck_model, tmp_path
):
    jobs = Jobs(tmp_path / "jobs")
    stuck = jobs.submit(replace(request_, model=stuck_model))
    after = jobs.submit(replace(request_, config=SHORT))
    wait_until(lambda: jobs.get(stuck).state == "loading")
    (worker,) = workers(jobs.folder)
    jobs.stop(stuck)
    wait_until(lambda: jobs.get(stuck).state == "stopped", seconds=10)
    wait_until(lambda: jobs.get(after).state == "done")
    assert jobs.get(stuck).map_folder is None
    wait_until(lambda: worker not in workers(jobs.folder))


def test_a_worker_that_hangs_is_recognised_and_replaced(request_, tmp_path):
    jobs = Jobs(tmp_path, patience=2)
    endless = replace(request_, config=replace(LONG, iterations=100_000))
    hangs = jobs.submit(endless)
    after = jobs.submit(replace(request_, config=SHORT))
    wait_until(lambda: jobs.get(hangs).iteration >= 5)
    (worker,) = workers(tmp_path)
    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: jobs.get(hangs).state == "hung", seconds=20)
    assert jobs.get(after).state == "queued"
    with pytest.raises(UserError, match="this job is hung"):
        jobs.delete(hangs)

    jobs.stop(hangs)
    job = jobs.get(hangs)
    assert job.state == "interrupted"
    assert re.fullmatch(r"The worker did not respond for \d+ s and was stopped.", job.message)
    wait_until(lambda: jobs.get(after).state == "done")
    jobs.resume(hangs)
    wait_until(lambda: jobs.get(hangs).iteration > job.iteration)
    assert jobs.get(hangs).message == ""
    jobs.stop(hangs)
    wait_until(lambda: jobs.get(hangs).state == "stopped")


def test_a_worker_that_was_only_paused_goes_on(request_, tmp_path):
    jobs = Jobs(tmp_path, patience=2)
    job_id = jobs.submit(replace(request_, config=replace(LONG, iterations=400)))
    wait_until(lambda: jobs.get(job_id).iteration >= 5)
    (worker,) = workers(tmp_path)
    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: jobs.get(job_id).state == "hung", seconds=20)
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: jobs.get(job_id).state == "running", seconds=20)
    jobs.stop(job_id)
    wait_until(lambda: jobs.get(job_id).state == "stopped")


def test_the_worker_ends_when_its_server_is_gone(request_, tmp_path):
    endless = replace(request_, config=replace(LONG, iterations=100_000))
    (tmp_path / "request.json").write_text(json.dumps(asdict(endless)))
    script = (
        "import json; from app.jobs.job import JobRequest; from app.jobs.queue import Jobs\n"
        "Jobs('ready').prepare()\n"
        "Jobs('jobs').submit(JobRequest.from_json(json.load(open('request.json'))))\n"
        "input()"
    )
    root = Path(app.jobs.worker.__file__).parents[2]
    server = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
    )
    jobs = Jobs(tmp_path / "jobs")
    with server:
        wait_until(lambda: [job.state for job in jobs.list()] == ["running"])
        server.kill()
    wait_until(lambda: [job.state for job in jobs.list()] == ["interrupted"], seconds=10)
    assert not workers(jobs.folder)
    wait_until(lambda: not workers(tmp_path / "ready"), seconds=10)


def test_a_prepared_worker_runs_the_next_job(request_, tmp_path):
    jobs = Jobs(tmp_path)
    prepared = prepared_worker(jobs)
    jobs.prepare()  # another visitor
    assert workers(tmp_path) == [prepared]
    job_id = jobs.submit(replace(request_, config=SHORT))
    wait_until(lambda: jobs.get(job_id).state == "running")
    assert workers(tmp_path) == [prepared]
    jobs.prepare()  # the running worker takes the next job, too
    assert workers(tmp_path) == [prepared]
    wait_until(lambda: jobs.get(job_id).state == "done")


def test_a_prepared_worker_that_was_killed_is_replaced(request_, tmp_path):
    jobs = Jobs(tmp_path)
    prepared = prepared_worker(jobs)
    os.kill(prepared, signal.SIGKILL)
    job_id = jobs.submit(replace(request_, config=SHORT))
    wait_until(lambda: jobs.get(job_id).state == "done")


def test_a_prepared_worker_without_a_job_ends(monkeypatch, tmp_path):
    monkeypatch.setattr(app.jobs.workers, "_READY_SECONDS", 0.5)
    prepared_worker(Jobs(tmp_path))
    wait_until(lambda: not workers(tmp_path))


@pytest.fixture
def faults(monkeypatch):
    """Learning in which iterate 1 stays the best and the seed says what happens at iterate 3."""
    learn_iter = app.jobs.worker.learn_iter
    raised = {
        1: UserError("E_DIVERGED", "the run diverged", remedy="Start again."),
        2: ZeroDivisionError(),
    }

    def faulty(*sides, config, **settings):
        for iterate in learn_iter(*sides, config=config, **settings):
            if iterate.iteration == 3 and config.seed in raised:
                raise raised[config.seed]
            yield iterate

    def worse_after_one(problem, parameters, iteration):
        cost, gradient = cost_and_gradient(problem, parameters, iteration)
        return cost * (10 if iteration > 1 else 1), gradient

    cost_and_gradient = Problem.cost_and_gradient
    monkeypatch.setattr(Problem, "cost_and_gradient", worse_after_one)
    monkeypatch.setattr(app.jobs.worker, "learn_iter", faulty)


def worked_off(jobs, *seeds, request):
    """Jobs with these seeds, taken here and now by a worker in this process."""
    ids = [jobs.submit(replace(request, config=replace(SHORT, seed=seed))) for seed in seeds]
    work(jobs)
    return [jobs.get(job_id) for job_id in ids]


@pytest.mark.usefixtures("faults")
def test_a_diverged_job_fails_and_keeps_its_best_map_also_when_it_is_resumed(idle, request_):
    (job,) = worked_off(idle, 1, request=request_)
    for _ in range(2):
        assert (job.state, job.message) == ("failed", "the run diverged. Start again.")
        assert load_maps(job.map_folder).metadata["iteration"] == 1
        assert [record["iteration"] for record in idle.records(job.id)] == [0, 1, 2]
        idle.resume(job.id)
        work(idle)
        job = idle.get(job.id)


@pytest.mark.usefixtures("faults")
def test_a_fault_of_ours_leaves_a_trace_in_the_log_and_the_next_job_its_last_map(idle, request_):
    broken, done = worked_off(idle, 2, 0, request=request_)
    assert broken.state == "failed"
    assert re.fullmatch("internal error [0-9a-f]{8}", broken.message)
    log = (idle.folder / broken.id / "log.txt").read_text()
    assert log.startswith(broken.message)
    assert "ZeroDivisionError" in log
    assert done.state == "done"
    assert load_maps(done.map_folder).metadata["iteration"] == SHORT.iterations


def test_a_map_can_be_tried_before_the_job_has_learnt_a_better_one(idle, request_, monkeypatch):
    learn_iter, methods = app.jobs.worker.learn_iter, []

    def watched(*sides, **settings):
        for iterate in learn_iter(*sides, **settings):
            yield iterate
            (folder,) = idle.folder.glob("*/map")
            methods.append(load_maps(folder).metadata["method"])

    monkeypatch.setattr(app.jobs.worker, "learn_iter", watched)
    monkeypatch.setattr(app.jobs.worker, "_CHECKPOINT_SECONDS", 0)
    (job,) = worked_off(idle, 0, request=request_)
    assert methods == ["mean-act", *["lineas"] * SHORT.iterations]  # from a quarter of them on
    assert load_maps(job.map_folder).metadata["method"] == "lineas"


def test_a_model_that_does_not_fit_into_memory_says_what_to_change(idle, request_, monkeypatch):
    monkeypatch.setattr(app.jobs.worker, "load_model", ask_for_a_petabyte)
    (job,) = worked_off(idle, 0, request=request_)
    assert job.state == "failed"
    assert "choose a smaller model" in job.message


@pytest.mark.parametrize(("method", "strength"), [("mean-act", 1.0), ("iti-c", 0.5)])
def test_a_method_without_iterations_leaves_what_was_before_and_what_is_after(
    idle, request_, method, strength
):
    config = METHODS[method].config
    job_id = idle.submit(replace(request_, method=method, config=config))
    work(idle)
    job, (before, after) = idle.get(job_id), idle.records(job_id)
    assert (job.state, job.message, job.iteration, job.iterations) == ("done", "", 1, 1)
    assert (before["loss"], after["loss"], before["support"]) == (None, None, 0)
    facts = load_maps(job.map_folder).metadata
    assert (facts["method"], facts["title"], facts["strength"]) == (method, "Places", strength)
    assert [before["heldout"], after["heldout"]] == [facts["heldout_start"], facts["heldout"]]
    (preview,) = idle.previews(job_id)
    assert (preview["iteration"], preview["strength"]) == (1, strength)
    assert preview["text"]


def test_a_pass_that_nothing_interrupts_is_stopped_with_its_process(idle, request_, monkeypatch):
    job_id = idle.submit(replace(request_, method="caa", config=METHODS["caa"].config))
    over = threading.Event()

    def endless(*_, **__):
        idle.stop(job_id)
        over.wait()

    def end():
        over.set()
        raise SystemExit

    monkeypatch.setitem(METHODS, "caa", replace(METHODS["caa"], learn=endless))
    monkeypatch.setattr(app.jobs.worker, "leave", end)
    with pytest.raises(SystemExit):
        work(idle)
    job = idle.get(job_id)
    assert (job.state, job.map_folder) == ("stopped", None)


def test_a_method_with_checkpoints_keeps_them_until_its_job_is_done(idle, request_, monkeypatch):
    plain, folders = METHODS["caa"].learn, []

    def learn_with_checkpoints(*sides, checkpoints, **settings):
        checkpoints.mkdir(exist_ok=True)
        folders.append(checkpoints)
        if len(folders) == 1:
            raise UserError("E_JUDGE", "the judge left", remedy="Resume.")
        return plain(*sides, **settings)

    method = replace(METHODS["caa"], learn=learn_with_checkpoints, checkpoints=True)
    monkeypatch.setitem(METHODS, "caa", method)
    job_id = idle.submit(replace(request_, method="caa", config=method.config))
    work(idle)
    assert idle.get(job_id).message.startswith("the judge left")
    assert folders[0].is_dir()
    idle.resume(job_id)
    work(idle)
    assert idle.get(job_id).state == "done"
    assert folders[0] == folders[1]
    assert not folders[0].exists()


_LEAVES_LATE = """
import sys, time
from pathlib import Path
folder = Path(sys.argv[3])
for file in folder.glob("*/job.json"):
    (folder / "new").write_text(file.read_text().replace('"queued"', '"done"'))
    (folder / "new").replace(file)  # whole at any time, as the worker writes it
while not (folder / "leave").exists():
    time.sleep(0.02)
"""


def test_a_job_that_comes_while_the_worker_is_leaving_is_not_left_behind(request_, tmp_path):
    jobs = Jobs(tmp_path / "jobs", python=program(tmp_path / "python", _LEAVES_LATE))
    early = jobs.submit(request_)
    wait_until(lambda: jobs.get(early).state == "done")
    late = jobs.submit(request_)  # the worker does not look at the queue again
    assert jobs.get(late).state == "queued"
    (jobs.folder / "leave").touch()
    wait_until(lambda: jobs.get(late).state == "done")


def test_a_killed_worker_s_job_is_interrupted_while_the_next_worker_has_another(
    idle, request_, monkeypatch
):
    killed = idle.submit(request_)
    file = idle.folder / killed / "job.json"
    file.write_text(file.read_text().replace('"queued"', '"running"'))
    wait_until(lambda: idle.get(killed).state == "interrupted")
    other = idle.submit(request_)
    seen = {}

    def look(*_):
        seen.update({job.id: job.state for job in idle.list()})
        return "done"

    monkeypatch.setattr(app.jobs.worker, "load_model", lambda *_, **__: object())
    monkeypatch.setattr(app.jobs.worker, "_learn", look)
    work(idle)
    assert seen == {killed: "interrupted", other: "running"}


@pytest.mark.slow
def test_the_workers_of_two_servers_take_turns(request_, tmp_path):
    servers = Jobs(tmp_path), Jobs(tmp_path)
    ids = [jobs.submit(replace(request_, config=SHORT)) for jobs in servers for _ in range(2)]
    wait_until(lambda: len(workers(tmp_path)) == 2)

    def over():
        assert sum(state in STARTED for state in states_on_disk(tmp_path)) <= 1
        return all(servers[0].get(job_id).state == "done" for job_id in ids)

    wait_until(over, seconds=600)  # four learn, one after the other
    wait_until(lambda: not workers(tmp_path))


@pytest.mark.slow
def test_a_hung_worker_does_not_hold_up_one_that_waits_for_its_lock(request_, tmp_path):
    first, second = Jobs(tmp_path, patience=2), Jobs(tmp_path, patience=2)
    hangs = first.submit(replace(request_, config=replace(LONG, iterations=100_000)))
    wait_until(lambda: first.get(hangs).iteration >= 5)
    (worker,) = workers(tmp_path)
    after = second.submit(replace(request_, config=SHORT))
    wait_until(lambda: len(workers(tmp_path)) == 2)
    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: second.get(hangs).state == "hung", seconds=20)
    second.stop(hangs)
    assert first.get(hangs).state == "interrupted"
    wait_until(lambda: second.get(after).state == "done")


def test_a_job_without_a_worker_is_interrupted_and_can_be_deleted(idle, request_):
    job_id = idle.submit(request_)
    wait_until(lambda: idle.get(job_id).state == "interrupted")
    idle.delete(job_id)
    assert idle.list() == []


def test_a_worker_that_cannot_be_started_leaves_the_job_interrupted(request_, tmp_path):
    jobs = Jobs(tmp_path, python=str(tmp_path / "no-such-python"))
    job_id = jobs.submit(request_)
    wait_until(lambda: jobs.get(job_id).state == "interrupted")


def test_a_job_that_is_not_over_is_neither_deleted_nor_resumed(idle, request_):
    with idle.lock.hold():
        job_id = idle.submit(request_)
        for refused in (idle.delete, idle.resume):
            with pytest.raises(UserError, match="this job is queued"):
                refused(job_id)


@pytest.mark.parametrize(
    "job_id",
    ["../secret0", "..", "", "/etc/passwd", "a" * 41, "ABCDEFGH", "12345678\n", "none-such"],
)
def test_an_id_that_is_not_ours_is_refused_everywhere(idle, job_id):
    (idle.folder.parent / "secret0").mkdir(exist_ok=True)
    for method in (
        idle.get,
        idle.stop,
        idle.resume,
        idle.delete,
        idle.records,
        idle.previews,
        idle.modules,
    ):
        with pytest.raises(UserError, match="there is no such job"):
            method(job_id)


def test_a_link_is_no_job(idle, request_):
    job_id = idle.submit(request_)
    (idle.folder / "linked-job").symlink_to(idle.folder / job_id)
    assert [job.id for job in idle.list()] == [job_id]


def test_a_torn_last_record_does_not_count(idle, request_):
    job_id = idle.submit(request_)
    log = idle.folder / job_id / "records.jsonl"
    log.write_text('{"iteration": 0, "elapsed": 0.5}\n{"iteration": 1, "ela')
    assert [record["iteration"] for record in idle.records(job_id)] == [0]
    assert idle.get(job_id).iteration == 0


def test_a_request_survives_json():
    request = JobRequest('a "title"\n', "gemma-3-270m", PROMPTS, SHORT, "all-layernorms")
    other = replace(request, method="iti-c", config=ItiConfig(penalty=2))
    for each in (request, other):
        assert JobRequest.from_json(json.loads(json.dumps(asdict(each)))) == each


def test_a_request_of_old_names_no_method_and_is_one_of_lineas():
    request = JobRequest("title", "gemma-3-270m", PROMPTS, SHORT)
    fields = json.loads(json.dumps(asdict(request)))
    del fields["method"]
    assert JobRequest.from_json(fields) == request


def test_the_time_left_follows_the_pace_so_far(request_):
    job = Job("12345678", request_, "running", created=0, iteration=20, elapsed=10)
    assert job.eta == 30
    assert replace(job, setup=6).eta == 12  # what came before the first step does not come again
    assert replace(job, iteration=0).eta is None
    assert replace(job, state="done").eta is None


def test_a_new_job_is_timed_by_the_last_one_on_its_model(idle, request_):
    guess = idle.pace(request_.model)
    job_id = idle.submit(request_)
    log = idle.folder / job_id / "records.jsonl"
    log.write_text('{"iteration": 0, "elapsed": 4}\n{"iteration": 1, "elapsed": 6}\n')
    assert idle.pace(request_.model) == guess  # one step tells too little
    log.write_text('{"iteration": 0, "elapsed": 4}\n{"iteration": 10, "elapsed": 24}\n')
    assert idle.pace(request_.model) == pytest.approx(2 / len(request_.prompts.source))
    assert idle.pace("another") != idle.pace(request_.model)
    assert idle.pace("gemma-3-270m") > idle.pace("smollm2-135m") > 0


def test_a_worker_that_dies_leaves_its_queue_to_the_next_one(request_, tmp_path):
    jobs = Jobs(tmp_path)
    endless = replace(request_, config=replace(LONG, iterations=100_000))
    dies, after = jobs.submit(endless), jobs.submit(replace(request_, config=SHORT))
    wait_until(lambda: jobs.get(dies).iteration >= 1)
    for worker in workers(tmp_path):
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: jobs.get(after).state == "done")
    assert jobs.get(dies).state == "interrupted"


def test_a_program_cannot_fill_the_queue(idle, request_):
    with idle.lock.hold():
        for _ in range(50):
            idle.submit(request_)
        assert [job.position for job in idle.list()] == [*range(50, 0, -1)]
        with pytest.raises(UserError, match="50 jobs are waiting already"):
            idle.submit(request_)


def test_a_disk_that_fills_up_fails_the_job_with_the_reason_and_later_all_goes_on(
    idle, request_, monkeypatch
):
    learn_iter, filled = app.jobs.worker.learn_iter, ExitStack()

    def fills_the_disk(*sides, **settings):
        for iterate in learn_iter(*sides, **settings):
            if iterate.iteration == 3:
                filled.enter_context(full_disk())
            yield iterate

    short = replace(request_, config=SHORT)
    undisturbed = idle.submit(short)
    work(idle)
    broken, waits = idle.submit(short), idle.submit(short)
    monkeypatch.setattr(app.jobs.worker, "learn_iter", fills_the_disk)
    with filled, pytest.raises(UserError, match="not saved.*Free some disk space"):
        work(idle)
    monkeypatch.setattr(app.jobs.worker, "learn_iter", learn_iter)
    job = idle.get(broken)
    assert (job.state, job.message) == (
        "failed",
        "The disk was full. Free some space, then press Resume.",
    )
    idle.resume(broken)
    work(idle)
    assert [idle.get(each).state for each in (broken, waits)] == ["done", "done"]
    saved = [load_maps(idle.get(each).map_folder).metadata for each in (undisturbed, broken)]
    assert saved[0] == saved[1]


_WITHOUT_SPACE = """
import os, pathlib, resource, sys
if not pathlib.Path(sys.argv[3], "space").exists():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.slow
def test_a_worker_on_a_full_disk_leaves_the_queue_with_the_reason(request_, tmp_path):
    jobs = Jobs(tmp_path / "jobs", python=program(tmp_path / "python", _WITHOUT_SPACE))
    job_id = jobs.submit(replace(request_, config=SHORT))
    wait_until(lambda: jobs.get(job_id).state == "interrupted")
    assert jobs.get(job_id).message == "The disk is full. The jobs start once there is space."
    (jobs.folder / "space").touch()
    jobs.resume(job_id)
    wait_until(lambda: jobs.get(job_id).state == "done")
    assert jobs.get(job_id).message == ""


def test_the_queue_of_a_killed_server_is_taken_over(request_, tmp_path, monkeypatch):
    monkeypatch.setattr("app.jobs.workers._GRACE_SECONDS", 1)
    endless = replace(request_, config=replace(LONG, iterations=100_000))
    requests = [asdict(endless), asdict(replace(request_, config=SHORT))]
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    script = (
        "import json; from app.jobs.job import JobRequest; from app.jobs.queue import Jobs\n"
        "jobs = Jobs('jobs')\n"
        "for request in json.load(open('requests.json')):\n"
        "    jobs.submit(JobRequest.from_json(request))\n"
        "input()"
    )
    survivor = Jobs(tmp_path / "jobs")
    root = Path(app.jobs.worker.__file__).parents[2]
    server = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
    )
    with server:
        wait_until(lambda: [job.state for job in survivor.list()] == ["queued", "running"])
        survivor.serve()
        server.kill()
    wait_until(lambda: [job.state for job in survivor.list()] == ["done", "interrupted"])


def test_a_damaged_checkpoint_costs_a_few_iterations_and_not_the_run(day, tmp_path):
    jobs, job_id = Jobs(tmp_path), day.stopped
    folder = shutil.copytree(day.jobs.folder / job_id, tmp_path / job_id)
    latest = folder / "state.safetensors"
    shutil.copy(latest, folder / "state-before.safetensors")
    latest.write_bytes(latest.read_bytes()[:-9])
    with (folder / "records.jsonl").open("r+b") as records:
        records.write(b"?")  # the first line
    jobs.resume(job_id)
    wait_until(lambda: jobs.get(job_id).state == "done")
    message = jobs.get(job_id).message
    assert re.match(r"The latest checkpoint was damaged; the run continued from iter", message)
    assert message.endswith("Line 1 of records.jsonl is damaged and left out.")
    resumed, full = (
        load_maps(each.map_folder) for each in (jobs.get(job_id), day.jobs.get(day.full))
    )
    assert resumed.metadata == full.metadata
