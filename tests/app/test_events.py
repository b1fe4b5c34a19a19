"""What the events of all tabs share."""

import gradio as gr

from app.events import LatestRequest, latest_only
from app.studio.studio import Studio
from app.ui import build_demo
from tests.app.fakes import is_skip, requested

_SHOWS = (  # what the page shows, by what was sent last
    *("ImageHandlers.measure", "ImageHandlers.offer_steps", "GridHandlers.values"),
    *("HistoryHandlers.begin", "HistoryHandlers.describe", "HistoryHandlers.keep"),
    *("ChatHandlers.show_instruction", "FormHandlers.load_set", "FormHandlers.budget"),
    *("UploadHandlers.choose_labels", "ModelHandlers.chosen", "ExplainHandlers.draw"),
)

_FILL = (  # what is asked to fill a text box, so that it may replace what is typed meanwhile
    *("OverviewHandlers.take", "MethodsHandlers.take", "SteeringHandlers.pick"),
    *("HistoryHandlers.again", "HistoryHandlers.from_picture", "read_prompts"),
    *("FormHandlers.load_set", "FormHandlers.write_set"),
    *("UploadHandlers.read_set", "UploadHandlers.use", "LibraryHandlers.details"),
    *("ChatHandlers.send", "ChatHandlers.edit"),
    *("LibraryHandlers.import_map", "LibraryHandlers.undo"),  # they clear the search
)


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
    with requested():
        assert is_skip(slow())
        assert answers == ["new"]
        assert quick() == "new"


def test_what_changes_while_an_event_is_answered_is_sent_again_then(tmp_path):
    """Gradio drops an event that comes again meanwhile, such as the second click on a radio."""
    demo = build_demo(Studio(tmp_path))
    modes = [(getattr(fn.fn, "__qualname__", ""), fn.trigger_mode) for fn in demo.fns.values()]
    assert {mode for name, mode in modes if name in _SHOWS} == {"always_last"}
    assert {*_SHOWS} <= {name for name, _ in modes}
    followed = [mode for name, mode in modes if name == "FollowHandlers.follow"]
    assert followed[0] == "always_last"  # after a map was chosen
    assert ("LibraryHandlers.pick", "multiple") in modes  # each click says which card


def test_no_answer_comes_to_a_menu_that_is_left(tmp_path):
    """Its input event comes then, too; `choice_of` tells a choice once."""
    demo = build_demo(Studio(tmp_path))
    handled = [
        getattr(fn.fn, "__qualname__", "")
        for fn in demo.fns.values()
        for block, event in fn.targets
        if isinstance(demo.blocks.get(block), gr.Dropdown) and event in ("input", "blur", "focus")
    ]
    assert {*handled} == {""}


def test_no_other_answer_replaces_what_is_typed(tmp_path):
    """It goes through `unless_typed`. What has no value for the box cannot replace any."""
    demo = build_demo(Studio(tmp_path))
    neither = ("ChatHandlers.regenerate", "ChatHandlers.start_anew", "ChatHandlers.restore")
    neither += ("ChatHandlers.show_instruction", "HistoryHandlers.open")
    neither += ("ImageHandlers.choose", "ImageHandlers.offer_steps")  # for the steered steps
    fills = {
        getattr(fn.fn, "__qualname__", "")
        for fn in demo.fns.values()
        for box in fn.outputs
        if fn.fn and isinstance(box, gr.Textbox) and box.label and box.interactive is not False
    }
    assert fills - {*neither} == {*_FILL}


def test_two_clicks_that_save_never_share_the_name_of_a_file(tmp_path):
    demo = build_demo(Studio(tmp_path))
    names = ("SaveHandlers.picture", "SaveHandlers.strip")
    names += ("ChatHandlers.export_json", "ChatHandlers.export_markdown")
    saves = [fn for fn in demo.fns.values() if getattr(fn.fn, "__qualname__", "") in names]
    boxes = [id(box) for fn in saves for box in fn.outputs]
    assert len(saves) == 4
    assert len({*boxes}) == len(boxes)
