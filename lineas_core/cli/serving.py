"""The command that serves a model, steered as each request says."""

from __future__ import annotations

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
        help="Folder or name of a map that requests can name, or OWNER/NAME[@REVISION] on the "
        "hub, repeatable [default: the ready-made ones].",
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
) -> None:
    """Serve a language model to clients of OpenAI's API, each with its own maps and strengths."""
    # Imported here, because it would slow down every other command.
    from lineas_core.serving.endpoint import Endpoint
    from lineas_core.serving.server import LOCAL, listen, server_of

    if host not in LOCAL and not api_key:
        raise typer.BadParameter(
            "an endpoint that other machines can reach needs a key: give one in LINEAS_API_KEY, "
            "or with --api-key",
            param_hint="--host",
        )
    listening = listen(host, port)  # before the model is loaded, which takes long
    endpoint = Endpoint(load_served(model, map, device))
    try:
        place = f"[{host}]" if ":" in host else host
        address = f"http://{place}:{listening.getsockname()[1]}/v1"
        typer.echo(f"{address} serves {', '.join(endpoint.served.names)}")
        server_of(endpoint, api_key).run(sockets=[listening])
    finally:
        endpoint.close()


def load_served(model: str, maps: list[str] | None = None, device: str | None = None) -> Served:
    """Load a language model and the maps that requests can name.

    A map has the name of its folder or repository.

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
