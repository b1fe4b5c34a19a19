"""The command that chats with a steered model in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated

import typer

from lineas_core.cli.arguments import (
    MapsWithStrengths,
    Seed,
    load_language_model,
    load_map_and_strength,
)
from lineas_core.errors import UserError
from lineas_core.models import LanguageModel, Sampling
from lineas_core.models.chat import Message
from lineas_core.steering.affine import SteeringMaps, compose
from lineas_core.steering.folding import fold
from lineas_core.storage.fits import check_fits

__all__ = ["Talk", "chat"]

_COMMANDS = "/strength λ (one for each map, or one for all), /reset, /quit"


def chat(
    model: Annotated[
        str | None, typer.Option(help="Model [default: that of the first map].")
    ] = None,
    map: MapsWithStrengths = None,
    system: Annotated[str, typer.Option(help="System prompt [default: that of the model].")] = "",
    seed: Seed = 0,
    max_new_tokens: int = 200,
    temperature: float = Sampling.temperature,
) -> None:
    """Chat with a model, steered or not: one message per line.

    Commands: /strength LAMBDA changes λ from the next message on (one for each map, or one for
    all), /reset clears the conversation, /quit or Ctrl-D ends the program, Ctrl-C ends an answer.
    """
    sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature)
    loaded = [load_map_and_strength(text) for text in map or []]
    maps = [each for each, _ in loaded]
    name = model or (maps[0].metadata.get("model") if maps else None) or "smollm2-135m"
    language_model = load_language_model(name)
    language_model.as_chat()  # refuses one without a chat template before the first message
    for each in maps:
        check_fits(each, language_model)
    strengths = [strength for _, strength in loaded]
    talk = Talk(language_model, maps, strengths, system, seed, sampling)
    talk.reset()
    if sys.stdin.isatty():
        typer.echo(f"{name}. {_COMMANDS}", err=True)
    for line in _lines():
        if line.startswith("/"):
            if line == "/quit":
                return
            _command(talk, line)
        elif line:
            _answer(talk, line)


@dataclass
class Talk:
    """A conversation, and what steers it.

    Attributes:
        model: the model that answers.
        maps: the maps that steer, in the order in which they are applied.
        strengths: λ of each map.
        system: system prompt; empty for that of the chat template.
        seed: seed of the first answer; every further one has the next.
        sampling: length and temperature of an answer.
        messages: the conversation so far.
    """

    model: LanguageModel
    maps: Sequence[SteeringMaps]
    strengths: Sequence[float]
    system: str
    seed: int
    sampling: Sampling
    messages: list[Message] = field(default_factory=list)

    def reset(self) -> None:
        """Forget the conversation, but for the system prompt."""
        self.messages = [{"role": "system", "content": self.system}] if self.system else []

    def answer(self, text: str) -> Generator[str, None, None]:
        """Answer a message; it and what has been answered join the conversation.

        After an error the conversation is as before.

        Yields:
            The answer so far.
        """
        asked = [*self.messages, {"role": "user", "content": text}]
        kept = self.model.recent(asked, self.sampling.max_new_tokens)
        if len(kept) < len(asked):
            count = len(asked) - len(kept)
            what = f"the {count} oldest messages no longer fit and are left out"
            typer.echo(f"note: {what}", err=True)
        seed = self.seed + sum(message["role"] == "user" for message in self.messages)
        before = self.messages
        try:
            with fold(self.model.network, compose(self.maps, [*self.strengths])):
                for (answer,) in self.model.stream([kept], seeds=[seed], sampling=self.sampling):
                    self.messages = [*asked, {"role": "assistant", "content": answer}]
                    yield answer
        except Exception:
            self.messages = before
            raise


def _lines() -> Iterator[str]:
    """Read messages from the terminal, with a prompt, or from a file or pipe without one."""
    try:
        if not sys.stdin.isatty():
            yield from (line.strip() for line in sys.stdin)
            return
        with suppress(ImportError):
            import readline  # noqa: F401 - lets `input` edit the line and recall earlier ones
        with suppress(EOFError):
            while True:
                yield input("> ").strip()
        typer.echo(err=True)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except UnicodeDecodeError as error:
        remedy = "Write messages in the encoding of the terminal."
        raise UserError("E_ENCODING", "the input is not a text", remedy=remedy) from error


def _command(talk: Talk, line: str) -> None:
    """Carry out a line that begins with a slash."""
    name, *given = line.split()
    if name == "/reset" and not given:
        talk.reset()
        typer.echo("the conversation was cleared", err=True)
        return
    with _told():
        if name != "/strength":
            raise UserError(
                "E_COMMAND", f"there is no command {line!r:.60}", remedy=f"Write {_COMMANDS}."
            )
        talk.strengths = _strengths(given, len(talk.maps))
        typer.echo(f"λ = {', '.join(f'{each:g}' for each in talk.strengths)}", err=True)


def _answer(talk: Talk, text: str) -> None:
    """Print an answer while it is being written; Ctrl-C ends it."""
    answer = printed = ""
    with _told():
        try:
            with closing(talk.answer(text)) as stream:
                for each in stream:
                    answer = each.lstrip()
                    shown = answer.rstrip("\ufffd")  # half a character, until the next token
                    typer.echo(shown[len(printed) :], nl=False)
                    printed = shown
        except KeyboardInterrupt:
            pass
        typer.echo(answer[len(printed) :])


def _strengths(given: Sequence[str], count: int) -> list[float]:
    """Parse the strengths of a number of maps."""
    if not count:
        remedy = "Start again with --map."
        raise UserError("E_STRENGTH", "no map is loaded", remedy=remedy)
    try:
        values = [float(text) for text in given]
    except ValueError:
        values = []
    if len(values) not in (1, count) or not all(-1 <= value <= 1 for value in values):
        remedy = "Give a number from -1 to 1, or one for each map."
        raise UserError("E_STRENGTH", f"strength is {' '.join(given)!r:.60}", remedy=remedy)
    return values if len(values) == count else values * count


@contextmanager
def _told() -> Iterator[None]:
    """In a terminal, print an error and go on; a script ends with it."""
    try:
        yield
    except UserError as error:
        if not sys.stdin.isatty():
            raise
        typer.echo(f"error: {error}", err=True)
