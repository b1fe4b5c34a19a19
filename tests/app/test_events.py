"""What the events of all tabs share."""

from gradio.context import LocalContext

from app.events import LatestRequest, latest_only
from tests.app.fakes import ME, is_skip


def test_an_answer_that_a_later_call_has_overtaken_is_dropped():
    calls = LatestRequest()

    @latest_only(calls)
    def quick():
        return "new"

    @latest_only(calls)
    def slow():
        answers.append(quick())  # a later request, answered meanwhile
        return "old"

    answers = []
    token = LocalContext.request.set(ME)
    try:
        assert is_skip(slow())
        assert answers == ["new"]
        assert quick() == "new"
    finally:
        LocalContext.request.reset(token)
