"""The answer to a click on Stop and the last one of the work may come in any order."""

import itertools

from app.widgets.stop_button import stop_button, stop_shown, stopping


def _after(*updates):
    state = {}
    for update in updates:
        state |= update.constructor_args
    return state


def test_the_order_of_the_answers_does_not_matter():
    answers = stopping(), stop_shown(busy=False)
    one, other = (_after(*order) for order in itertools.permutations(answers))
    assert one == other
    assert not one["visible"]


def test_a_new_start_takes_back_what_a_click_has_set():
    again = _after(stopping(), stop_shown(busy=False), stop_shown(busy=True))
    assert again == {"value": stop_button().value, "interactive": True, "visible": True}
