import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from app.jobs.lock import Lock

_HOLDER = """
import sys
from pathlib import Path
from app.jobs.lock import Lock
with Lock(Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder):
    """A process that holds the lock of a folder until its input ends or it is killed."""
    command, pipe = [sys.executable, "-c", _HOLDER, folder], subprocess.PIPE
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield holder


def test_a_lock_is_held_for_the_length_of_a_with_block(tmp_path):
    lock = Lock(tmp_path)
    assert not lock.held
    with lock.hold():
        assert lock.held
    assert not lock.held


def test_the_lock_of_another_process_is_seen_and_waited_for(tmp_path):
    lock = Lock(tmp_path)
    with another_process(tmp_path) as holder:
        assert lock.held
        holder.stdin.close()
        with lock.hold():
            assert lock.held


def test_a_killed_holder_leaves_nothing_to_clean_up(tmp_path):
    lock = Lock(tmp_path)
    with another_process(tmp_path) as holder:
        holder.kill()
        holder.wait()
        assert not lock.held


def test_a_holder_that_hangs_can_be_ended(tmp_path):
    lock = Lock(tmp_path)
    with another_process(tmp_path) as holder:
        lock.end_holder()
        assert not lock.held
        assert holder.wait() != 0


def test_ending_a_holder_that_never_was_changes_nothing(tmp_path):
    Lock(tmp_path).end_holder()
    assert not Lock(tmp_path).held


def test_threads_that_look_at_once_do_not_take_each_other_for_a_holder(tmp_path):
    lock = Lock(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda _: lock.held, range(400)))
