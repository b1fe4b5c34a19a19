"""Start the page: `python app.py`, then open the address that it prints."""

import argparse
import os
import socket
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

from platformdirs import user_data_path
from starlette.middleware import Middleware

from app.security import LOCAL, PATIENCE, Guard, login


def main() -> None:
    """Read the arguments, build the page, serve it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--share", action="store_true", help="also open a public link")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask for a login")
    parser.add_argument("--mcp", action="store_true", help="also offer the endpoints as MCP tools")
    parser.add_argument("--root-path", default="", help="path behind a reverse proxy")
    parser.add_argument("--data-dir", type=Path, default=user_data_path("lineas-studio"))
    args = parser.parse_args()
    user, _, password = (args.auth or "").partition(":")
    if args.auth and not (user and password):
        parser.error("--auth needs the form user:password.")
    # Behind a proxy others reach the page, by names that we do not know.
    private = args.host in LOCAL and not (args.share or args.root_path)
    if not (private or args.auth):
        parser.error("A page that others can reach needs a login: add --auth user:password.")
    if args.mcp and not find_spec("mcp"):
        parser.error('--mcp needs: pip install "gradio[mcp]" -c constraints.txt')

    if not 0 < args.port < 1 << 16:
        parser.error(f"--port is {args.port}; give one from 1 to 65535.")
    if taken := _taken(args.host, args.port):  # before our data is touched, which may be in use
        parser.error(f"{args.host}:{args.port} cannot be used ({taken}); give another --port.")

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # as is this one; it talks a lot
    from app.images.handlers import warm_up
    from app.studio.archive import LARGEST
    from app.studio.studio import Studio
    from app.ui import LOOK, build_demo

    try:
        studio = Studio(args.data_dir, hub_token=os.environ.get("HF_TOKEN"))
    except OSError as error:
        reason = error.strerror or error
        parser.error(f"{args.data_dir} cannot be used ({reason}); give another --data-dir.")
    Thread(target=warm_up, args=[studio], daemon=True).start()
    guarded = {"middleware": [Middleware(Guard)]} if private else {}
    build_demo(studio).queue(max_size=256).launch(
        server_name=args.host,
        server_port=args.port,
        share=args.share,
        auth=login(user, password) if args.auth else None,
        auth_message=f"After five wrong logins wait {PATIENCE:.0f} seconds.",
        root_path=args.root_path,
        mcp_server=args.mcp,
        max_file_size=LARGEST,  # of an imported map; prompts have a limit of their own
        run_history=False,
        enable_monitoring=False,
        app_kwargs=guarded,
        footer_links=["api"],
        **LOOK,
    )


def _taken(host: str, port: int) -> str:
    """Why nobody can listen there; empty when one can."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address[:2], family=family):
            return ""
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)


if __name__ == "__main__":
    main()
