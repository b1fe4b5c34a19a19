"""Start the page: by `python app.py` in a clone, or by `lineas studio` if it is installed."""

from __future__ import annotations

import os
import socket
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import typer
from platformdirs import user_data_path
from starlette.middleware import Middleware

from .security import LOCAL, PATIENCE, Guard, login

__all__ = ["command_line", "main", "studio"]

_DATA = user_data_path("lineas-studio")
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
        str, typer.Option(metavar="USER:PASSWORD", help="Ask visitors for this login.")
    ] = "",
    mcp: Annotated[bool, typer.Option("--mcp", help="Offer the endpoints as MCP tools.")] = False,
    root_path: Annotated[str, typer.Option(help="Path behind a reverse proxy.")] = "",
    data_dir: Annotated[Path, typer.Option(help="Folder for your maps and jobs.")] = _DATA,
) -> None:
    """Start the page, then open the address that it prints."""
    # Behind a proxy or a public link, users connect by host names that are unknown here.
    private = host in LOCAL and not (share or root_path)
    user, _, password = auth.partition(":")
    if auth and not (user and password):
        raise typer.BadParameter("--auth needs the form user:password.")
    if not (private or auth):
        raise typer.BadParameter(
            "A page that other machines can reach needs a login: add --auth user:password."
        )
    if mcp and not find_spec("mcp"):
        raise typer.BadParameter(f"--mcp needs a package that is not installed: {_MCP}.")
    _check_address(host, port)  # before the data folder is opened, which another page may be using
    _serve(
        data_dir,
        server_name=host,
        server_port=port,
        share=share,
        auth=login(user, password) if auth else None,
        auth_message=f"After five wrong logins wait {PATIENCE:.0f} seconds.",
        root_path=root_path,
        mcp_server=mcp,
        app_kwargs={"middleware": [Middleware(Guard)]} if private else {},
    )


def _check_address(host: str, port: int) -> None:
    if not 0 < port < 1 << 16:
        raise typer.BadParameter(f"--port is {port}; give one from 1 to 65535.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise typer.BadParameter(
            f"{host}:{port} cannot be used ({reason}); give another --port."
        ) from None


def _serve(data_dir: Path, **options: Any) -> None:
    """Build the page for a data folder and serve it until it is interrupted."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # read when transformers is imported
    from .images.handlers import warm_up
    from .studio.archive import LARGEST
    from .studio.studio import Studio
    from .ui import APPEARANCE, build_demo

    try:
        studio = Studio(data_dir, hub_token=os.environ.get("HF_TOKEN"))
    except OSError as error:
        reason = error.strerror or error
        raise typer.BadParameter(
            f"{data_dir} cannot be used ({reason}); give another --data-dir."
        ) from None
    Thread(target=warm_up, args=[studio], daemon=True).start()
    build_demo(studio).queue(max_size=256).launch(
        max_file_size=LARGEST,  # limit for imported maps; prompt files have a lower one
        run_history=False,
        enable_monitoring=False,
        footer_links=["api"],
        **options,
        **APPEARANCE,
    )
