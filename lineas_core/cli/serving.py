"""The command that serves a model, steered as each request says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from lineas_core.cli.arguments import Device, load_language_model, load_noted
from lineas_core.errors import UserError
from lineas_core.steering.affine import SteeringMaps
from lineas_core.storage.maps import read_metadata
from lineas_core.storage.places import name_of_maps, ready_made

if TYPE_CHECKING:
    from lineas_core.serving.served import Served

__all__ = ["load_served", "serve"]

_Maps = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MAP",
        help="Folder or name of a map that requests can name, ready-made or learnt on the page, "
        "or OWNER/NAME[@REVISION] on the hub, repeatable [default: the ready-made ones].",
    ),
]


def serve(
    model: str,
    map: _Maps = None,
    device: Device = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    api_key: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            envvar="LINEAS_API_KEY",
            help="Key that requests must send. Other users of this machine can see options: "
            "LINEAS_API_KEY is safer.",
        ),
    ] = "",
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of web pages, such as https://chat.example, whose scripts may use the "
            "endpoint with the key, repeatable [default: none].",
        ),
    ] = None,
    batch_texts: Annotated[
        int, typer.Option(metavar="N", min=1, help="Texts that are written at once.")
    ] = 32,
    batch_tokens: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Texts that are written at once, times the tokens that the longest of them can "
            "have, prompt included; bounds the memory, and the length of a text.",
        ),
    ] = 32_768,
    max_waiting: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Texts that wait to be written, and those of a request; more are refused.",
        ),
    ] = 128,
) -> None:
    """Serve a language model to clients of OpenAI's API, each with its own maps and strengths."""
    # Imported here, because it would slow down every other command.
    from lineas_core.serving.endpoint import Endpoint
    from lineas_core.serving.engine import Limits
    from lineas_core.serving.server import LOCAL, listen, server_of

    if host not in LOCAL and not api_key:
        raise typer.BadParameter(
            "an endpoint that other machines can reach needs a key: give one in LINEAS_API_KEY, "
            "or with --api-key",
            param_hint="--host",
        )
    origins = _origins(allow_origin or [], api_key)
    listening = listen(host, port)  # before the model is loaded, which takes long
    limits = Limits(batch_texts, max_waiting, batch_tokens)
    served = load_served(model, map, device)
    endpoint = Endpoint(served, limits)
    try:
        place = f"[{host}]" if ":" in host else host
        address = f"http://{place}:{listening.getsockname()[1]}/v1"
        typer.echo(f"{address} serves {', '.join(served.names)}")
        server_of(endpoint, api_key, origins).run(sockets=[listening])
    finally:
        endpoint.close()


def _origins(addresses: list[str], key: str) -> list[str]:
    """Return addresses of web pages as browsers send them.

    Raises:
        typer.BadParameter: there is no key, or one is not such an address.
    """
    if addresses and not key:
        reason = "a web page needs a key: give one in LINEAS_API_KEY, or with --api-key"
        raise typer.BadParameter(reason, param_hint="--allow-origin")
    origins = [address.lower().removesuffix("/") for address in addresses]
    for origin in origins:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?", origin):
            reason = f"{origin} is not an address such as https://chat.example"
            raise typer.BadParameter(reason, param_hint="--allow-origin")
    return origins


def load_served(model: str, maps: list[str] | None = None, device: str | None = None) -> Served:
    """Load a language model and the maps that requests can name.

    A map has the name of its folder or repository, or the one that `find_maps_here` knows.

    Args:
        model: name of the model.
        maps: what `load_maps` takes; None takes all ready-made maps of the model.
        device: as in `load_model`.

    Raises:
        UserError: one of them cannot be loaded, the model is none of language, a map was learnt
            on another model, or two maps have the same name.
    """
    from lineas_core.serving.served import Served

    return Served.of(load_language_model(model, device), _load_maps(model, maps))


def _load_maps(model: str, given: list[str] | None) -> dict[str, SteeringMaps]:
    if given is None:
        given = [str(path) for path in ready_made() if read_metadata(path).get("model") == model]
    loaded: dict[str, SteeringMaps] = {}
    for text in given:
        name = name_of_maps(text)
        if name in loaded:
            remedy = "Rename the folder of one."
            raise UserError("E_NAME", f"two maps have the name {name}", remedy=remedy)
        loaded[name] = load_noted(text)
    return loaded
