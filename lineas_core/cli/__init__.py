"""The command line: results go to stdout, messages to stderr; exit 2 for usage, 1 for failure."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from lineas_core.cli.chat import chat
from lineas_core.cli.checks import message_of, status_of
from lineas_core.cli.generation import generate
from lineas_core.cli.learning import fetch_model, learn
from lineas_core.cli.listing import list_maps, list_models
from lineas_core.cli.maps import export, info, push
from lineas_core.cli.measurement import evaluate, sweep
from lineas_core.cli.serving import serve
from lineas_core.errors import UserError
from lineas_core.runtime.memory import out_of_memory_as_user_error

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # else the help leaves out what is in brackets
)
app.command("fetch")(fetch_model)
for _command in (learn, generate, chat, serve, sweep, evaluate, info, export, push):
    app.command()(_command)
app.command("maps")(list_maps)
app.command("models")(list_models)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"lineas {version('lineas-studio')}")
    except PackageNotFoundError:
        typer.echo("lineas, run from its source without being installed")
    raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Learn activation steering from prompts, and steer language and picture models."""


def main() -> None:
    """Run the command line; an error that the user can correct is one line, never a traceback."""
    # transformers logs a line for every weight and optional package that is missing.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # such as one in cp1252, which has no λ
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):  # in some locales it passes on what is no text
        sys.stdin.reconfigure(errors="strict")
    _check_arguments(sys.argv[1:])
    try:
        with out_of_memory_as_user_error():
            app()
    except UserError as error:
        typer.echo(f"error: {message_of(error)}", err=True)
        raise SystemExit(status_of(error)) from None


def _check_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments whose bytes are not text, which neither a model nor a map could keep."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            remedy = "Write it in the encoding of the terminal, or rename the file."
            typer.echo(f"error: the argument {argument!r} is not a text. {remedy}", err=True)
            raise SystemExit(2) from None
