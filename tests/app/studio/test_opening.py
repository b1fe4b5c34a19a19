"""The pictures that the page opens with, from a second process."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from PIL import ImageChops

from app.children import start_module
from app.studio.opening import warm_up
from app.studio.settings import SEED, STRIP
from app.studio.studio import Studio
from tests.app.served import tiny_assets

ROWS = [[strength] for strength in STRIP]


@pytest.fixture(scope="module")
def painting():
    """The second process over the shipped maps."""
    return start_module("studio.opening", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _opening(studio):
    (entry, *_) = [e for e in studio.maps() if e.kind == "text-to-image"]
    return entry, entry.within(studio.prompts.scenes()[0])


def test_the_page_finds_what_the_second_process_has_painted(painting, tmp_path):
    studio = Studio(tmp_path)
    entry, prompt = _opening(studio)
    warm_up(studio, painting)
    assert painting.returncode == 0
    arrived = studio.pictures.painted([entry], prompt, ROWS, seed=SEED)
    other = Studio(tmp_path / "other")
    here = other.pictures.paint([entry], prompt, ROWS, seed=SEED)
    assert [each.recipe for each in arrived] == [each.recipe for each in here]
    for one, other_one in zip(arrived, here, strict=True):  # threads add in another order
        difference = ImageChops.difference(one.image, other_one.image)
        assert max(most for _, most in difference.getextrema()) <= 2
        assert one.image.info == other_one.image.info
    assert studio.pictures.goal(entry, prompt, -1.0) == other.pictures.goal(entry, prompt, -1.0)


def _second(program):
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


OTHER_MAP = 'print("""["other", "", [1]]""")'


@pytest.mark.parametrize(
    "program", ["raise SystemExit(1)", "", "print(1)", "print('verbose')", OTHER_MAP]
)
def test_whatever_becomes_of_the_second_process_the_pictures_are_painted(program, tmp_path):
    studio = Studio(tmp_path, assets=tiny_assets(tmp_path))
    entry, prompt = _opening(studio)
    warm_up(studio, _second(program))
    assert len(studio.pictures.painted([entry], prompt, ROWS, seed=SEED)) == len(STRIP)


def test_a_page_without_pictures_ends_the_second_process(tmp_path):
    studio = Studio(tmp_path, assets=tmp_path)
    second = _second("import time; time.sleep(600)")
    warm_up(studio, second)
    assert second.returncode


def test_a_visitor_waits_for_the_pictures_that_are_on_their_way(tmp_path):
    studio = Studio(tmp_path, assets=tiny_assets(tmp_path))
    entry, prompt = _opening(studio)
    painted = Studio(tmp_path, assets=tmp_path / "assets").pictures.paint(
        [entry], prompt, ROWS, seed=SEED
    )
    asked, come = Event(), Event()

    def arrive():
        asked.set()
        come.wait()
        return painted

    with ThreadPoolExecutor(2) as pool:
        pool.submit(studio.pictures.expect, [entry], prompt, ROWS, arrive, seed=SEED)
        asked.wait()
        mine = pool.submit(studio.pictures.paint, [entry], prompt, ROWS[:2], seed=SEED)
        # Others are painted meanwhile.
        assert studio.pictures.paint([entry], prompt, ROWS[:1], seed=SEED + 1)
        time.sleep(0.1)
        assert not mine.done()
        come.set()
        assert [each.image for each in mine.result()] == [each.image for each in painted[:2]]
