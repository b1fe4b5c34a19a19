"""Fill in the form of the Learn tab."""

from app.learn.form import SETTINGS


def start(handlers, **changes):
    form = {
        "title": " Mine ",
        "model": "tiny",
        "method": "lineas",
        "source": "a\nb\nc\nd",
        "target": "x\ny\nz\nw",
        "heldout": 1,
        "preset": "",
        "preview_prompt": "",
        "learn_at": "",
        "known": None,
    }
    settings = dict(zip(SETTINGS, handlers.budget("quick", "tiny", None), strict=True))
    settings |= {name: changes.pop(name) for name in SETTINGS if name in changes}
    return handlers.start(*{**form, **changes}.values(), *settings.values())
