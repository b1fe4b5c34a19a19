"""A result as text to copy: its link, and code that reproduces it without the page."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

from lineas_core.paths import ASSETS

from ..studio.maps import MapEntry
from ..studio.settings import Settings, plain
from ..studio.steps import Steps, range_text

__all__ = ["snippets"]

# The wheel installs a command under this name; a clone has none.
_COMMAND = ["lineas"] if __name__.startswith("lineas_studio.") else ["python", "-m", "lineas_core"]

_PICTURE = """
from lineas_core import {names}

model = load_model({model}){denoising}
maps = {maps}
with steer(model.network, maps{strength}):
    (image,) = model.generate([{prompt}], seeds=[{seed}])
image.save('picture.png')
"""
_TEXT = """
from lineas_core import {names}
from lineas_core.models import Sampling

model = load_model({model})
maps = {maps}
sampling = Sampling(max_new_tokens={length}, temperature={temperature})
with steer(model.network, maps{strength}):
    (text,) = model.generate([{prompt}], seeds=[{seed}], sampling=sampling{chat})
print(text)
"""
# Gradio answers in two steps: the first request returns an event id, the second one waits.
_CURL = """
curl -s {address} \\
  -H 'Content-Type: application/json' -d {request} \\
  | cut -d'"' -f4 | xargs -I% curl -sN {address}/%{then}
"""
_TO_FILE = r""" \
  | sed -n 's/.*"png": "\([^"]*\)".*/\1/p' | base64 -d > picture.png"""


def snippets(settings: Settings, entries: Sequence[MapEntry], home: str) -> Mapping[str, str]:
    """Return the texts to copy by their headings.

    Args:
        settings: settings of the result, with a prompt.
        entries: its maps, all of one model.
        home: address of the page, without a query.
    """
    return {
        "Link": f"{home}{settings.query}",
        "Python": _python(settings, entries),
        "Command line": _command(settings, entries),
        "curl": _curl(settings, entries, home),
    }


def _python(settings: Settings, entries: Sequence[MapEntry]) -> str:
    loads = [f"load_maps({_place(entry)!r})" for entry in entries]
    strengths = [plain(each) for each in settings.strengths]
    several = len(loads) > 1
    template = _TEXT if entries[0].kind == "language" else _PICTURE
    return template.strip().format(
        names=f"{'compose, ' if several else ''}load_maps, load_model, steer",
        model=repr(entries[0].model),
        denoising=_denoising(settings),
        maps=f"compose([{', '.join(loads)}], [{', '.join(strengths)}])" if several else loads[0],
        strength="" if several else f", strength={strengths[0]}",
        prompt=repr(settings.prompt),
        seed=settings.seed,
        length=settings.length,
        temperature=settings.temperature,
        chat=", chat=True" if settings.chat else "",
    )


def _command(settings: Settings, entries: Sequence[MapEntry]) -> str:
    words = [*_COMMAND, "generate"]
    for entry, strength in zip(entries, settings.strengths, strict=True):
        words += ["--map", f"{_place(entry)}:{plain(strength)}"]
    words += ["--seed", str(settings.seed)]
    if entries[0].kind == "language":
        words += ["--max-new-tokens", str(settings.length)]
        words += ["--temperature", str(settings.temperature)]
        words += ["--chat"] * settings.chat
    for name, value in _steps(settings).items():
        words += [f"--{name.replace('_', '-')}", plain(value)]
    if settings.steer_steps:
        words += ["--steer-steps", range_text(settings.steer_steps)]
    return shlex.join([*words, "--", settings.prompt])  # the prompt may start with a dash


def _curl(settings: Settings, entries: Sequence[MapEntry], home: str) -> str:
    (first, *others), (strength, *strengths) = settings.maps, settings.strengths
    request = [first, settings.prompt, [strength], settings.seed]
    if entries[0].kind == "language":
        name, then = "continue_text", ""
        request += [settings.length, settings.temperature, settings.chat]
    else:
        name, then = "make_pictures", _TO_FILE
        request += [[*zip(others, strengths, strict=True)]]
        request += settings.denoising if settings.denoising != Steps() else ()
    return _CURL.strip().format(
        address=shlex.quote(f"{home.rstrip('/')}/gradio_api/call/{name}"),
        request=shlex.quote(json.dumps({"data": request}, ensure_ascii=False)),
        then=then,
    )


def _denoising(settings: Settings) -> str:
    """Return the call that sets how a model denoises, if it differs from its default."""
    given = [f"{name}={plain(value)}" for name, value in _steps(settings).items()]
    given += [f"steer_at={settings.steer_steps}"] if settings.steer_steps else []
    return f".with_denoising({', '.join(given)})" if given else ""


def _steps(settings: Settings) -> dict[str, float]:
    """Return steps and guidance of a picture by their names, without those of the model."""
    both = {"num_inference_steps": settings.steps, "guidance_scale": settings.guidance}
    return {name: value for name, value in both.items() if value is not None}


def _place(entry: MapEntry) -> str:
    """Return the argument of `load_maps`: the name of a ready-made map, or a folder."""
    folder = entry.folder.resolve()
    return folder.name if folder.parent == ASSETS / "maps" else str(folder)
