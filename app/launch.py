"""Start the page: by `python app.py` in a clone, or by `lineas studio` if it is installed."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Collection, Sequence
from contextlib import suppress
from errno import EADDRNOTAVAIL
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import typer
from platformdirs import user_data_path

from .children import start_module
from .log import start_log
from .security import LOCAL, PATIENCE, Lifespan, Limits, guarded, origin_of
from .uploads import Quota

__all__ = ["command_line", "main", "studio"]

_DATA = user_data_path("lineas-studio")
_AT_ONCE = 128  # requests that are begun; those that use a model wait for turns without a thread
_DEMO = Limits(upload=8 << 20, quota=Quota(visitor=16 << 20, all=256 << 20))
_FOR_IMPORTS = {  # what gradio and transformers read when they are imported
    "GRADIO_ANALYTICS_ENABLED": "False",
    # Gradio would count all events anew after each one, for a page of figures that is off.
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(1 << 30),
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
    "TRANSFORMERS_VERBOSITY": os.environ.get("TRANSFORMERS_VERBOSITY", "error"),
}
_MCP = 'pip install "lineas-studio[mcp]", or in a clone pip install "gradio[mcp]"'


def main() -> None:
    """Start the page from a clone; for an invalid option, print one sentence and exit with 2."""
    program = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    program.command()(studio)
    program()


def command_line() -> None:
    """Run the installed command `lineas`: the commands of `lineas_core`, and `studio`."""
    from lineas_core import cli

    cli.app.command()(studio)
    cli.main()


def studio(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 7860,
    share: Annotated[bool, typer.Option("--share", help="Also open a public link.")] = False,
    auth: Annotated[
        str,
        typer.Option(
            metavar="USER:PASSWORD",
            envvar="LINEAS_AUTH",
            help="Login that visitors need. Other users of this machine can see options: "
            "--auth-file is safer.",
        ),
    ] = "",
    auth_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the login, user:password.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of the page in the browser, such as https://lineas.example, if it has "
            "its own host name or is behind a proxy; repeatable.",
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Public demo: everybody can look and steer without a login, but nothing can be "
            "learnt, imported or changed.",
        ),
    ] = False,
    openai: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Also serve this language model to clients of OpenAI's API, at /v1. If the page "
            "needs a login or is a demo, the clients need a key: give one in LINEAS_API_KEY.",
        ),
    ] = "",
    api_key: Annotated[str, typer.Option(envvar="LINEAS_API_KEY", hidden=True)] = "",
    mcp: Annotated[bool, typer.Option("--mcp", help="Offer the endpoints as MCP tools.")] = False,
    root_path: Annotated[
        str, typer.Option(help="Path of the page behind a reverse proxy, such as /lineas.")
    ] = "",
    data_dir: Annotated[Path, typer.Option(help="Folder for your maps and jobs.")] = _DATA,
) -> None:
    """Start the page, then open the address that it prints."""
    origins = _origins([*(origin or []), *([root_path] if "://" in root_path else [])])
    private = host in LOCAL and not (share or root_path or origins)
    login = _login(auth, auth_file)
    if not (private or login or demo):
        raise typer.BadParameter(
            "A page that other machines can reach needs a login: give user:password in a file "
            "with --auth-file, in LINEAS_AUTH, or with --auth. With --demo it needs none."
        )
    _check_mcp(mcp, login, demo=demo)
    if openai and (login or demo) and not api_key:
        raise typer.BadParameter(
            "--openai needs a key where the page needs a login or is a demo: give one in "
            "LINEAS_API_KEY."
        )
    _check_address(host, port)  # before the data folder is opened, which another page may be using
    machine = socket.gethostname().lower()
    names = LOCAL if private else (*LOCAL, host, machine, f"{machine}.local")
    _serve(
        data_dir,
        origins,
        server_name=host,
        server_port=port,
        share=share,
        auth=login,
        auth_message=f"After five wrong logins wait {PATIENCE:.0f} seconds.",
        root_path=root_path,
        mcp_server=mcp,
        demo=demo,
        guard=partial(_guard, _page_guard(names, origins, demo=demo), openai, api_key),
    )


def _page_guard(names: Collection[str], origins: Collection[str], *, demo: bool) -> Lifespan:
    """Return the guard of the page; in a demo, no frame could lead a visitor to do harm."""
    return guarded(names, origins, _DEMO if demo else Limits(), framed=demo)


def _guard(guard: Lifespan, model: str, key: str, studio: Any) -> Lifespan:
    """Return the guard of the page, with the endpoint of a model inside if one is asked for."""
    if not model:
        return guard
    from lineas_core import UserError

    from .openai_api import with_endpoint

    try:
        return with_endpoint(guard, studio, model, key)
    except UserError as error:
        raise typer.BadParameter(f"--openai {model}: {error}") from None


def _origins(addresses: Sequence[str]) -> set[str]:
    origins = {address: origin_of(address) for address in addresses}
    for address, each in origins.items():
        if each is None:
            raise typer.BadParameter(
                f"--origin is {address}; give an address such as https://lineas.example."
            )
    return {each for each in origins.values() if each}


def _login(auth: str, file: Path | None) -> tuple[str, str] | None:
    """Return user and password; None if no login was given."""
    if file and not auth:
        try:
            auth = (file.read_text(encoding="utf-8").splitlines() or [""])[0]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text"
            raise typer.BadParameter(f"--auth-file {file} cannot be read ({reason}).") from None
    elif file:
        raise typer.BadParameter("Give the login once: with --auth-file, or with --auth.")
    user, _, password = auth.strip().partition(":")
    if (auth or file) and not (user and password):
        raise typer.BadParameter("The login must have the form user:password.")
    return (user, password) if auth else None


def _check_mcp(mcp: bool, login: tuple[str, str] | None, *, demo: bool) -> None:
    if mcp and login:
        raise typer.BadParameter(
            "--mcp does not work with a login: Gradio would offer the tools without asking for it."
        )
    if mcp and demo:
        raise typer.BadParameter("--mcp does not work with --demo: its tools are for one user.")
    if mcp and not find_spec("mcp"):
        raise typer.BadParameter(f"--mcp needs a package that is not installed: {_MCP}.")


def _check_address(host: str, port: int) -> None:
    if not 0 < port < 1 << 16:
        raise typer.BadParameter(f"--port is {port}; give one from 1 to 65535.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        elsewhere = isinstance(error, socket.gaierror) or error.errno == EADDRNOTAVAIL
        what = f"{host}:{port} cannot be used ({reason})"
        remedy = f"give another --{'host' if elsewhere else 'port'}."
        raise typer.BadParameter(f"{what}; {remedy}") from None


def _serve(data_dir: Path, origins: set[str], *, demo: bool, guard: Any, **options: Any) -> None:
    """Build the page for a data folder and serve it until it is interrupted."""
    start_log()
    os.environ.update(_FOR_IMPORTS)
    second = _second_process()
    from .blocks import app_options
    from .sessions import SESSIONS
    from .studio.archive import LARGEST
    from .studio.opening import load_model, warm_up
    from .studio.studio import Studio
    from .ui import APPEARANCE, build_demo

    try:
        token = None if demo else os.environ.get("HF_TOKEN")
        studio = Studio(data_dir, hub_token=token, read_only=demo)
    except OSError as error:
        reason = error.strerror or error
        raise typer.BadParameter(
            f"{data_dir} cannot be used ({reason}); give another --data-dir."
        ) from None
    Thread(target=warm_up, args=[studio, second], daemon=True).start()
    page = build_demo(studio).queue(max_size=256)
    _, _, link = page.launch(
        max_file_size=LARGEST,  # limit for imported maps; prompt files have a lower one
        run_history=False,
        enable_monitoring=False,
        footer_links=["api"],
        max_threads=_AT_ONCE,
        prevent_thread_lock=True,
        _frontend=False,  # no call of its own address, which fails behind a proxy or under load
        state_session_capacity=SESSIONS,
        app_kwargs=app_options(guard(studio)),
        **options,
        **APPEARANCE,
    )
    if link and (public := origin_of(link)):
        origins.add(public)
    Thread(target=load_model, args=[studio], daemon=True).start()
    page.block_thread()


def _second_process() -> subprocess.Popen | None:
    """Start to paint the first pictures; None where that would only slow the page down."""
    if (os.cpu_count() or 1) == 1:
        return None
    # More threads would take the core of the page, and wait for each other.
    one_core = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with suppress(OSError):  # no memory for it
        return start_module("studio.opening", env=one_core, **pipes)
    return None
