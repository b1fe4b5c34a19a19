"""Guards the page against other web pages, guessed passwords, and bodies and uploads without end.

A browser lets any web page send requests to any address. The response is hidden from that page,
but the request has its effect, with the login of the visitor (cross-site request forgery); and
under a host name that is made to resolve to this machine (DNS rebinding) the response can be read.
The same rules hold for a page on this machine, behind a proxy and behind a public link: a request
names a host of this page, and a request that writes comes from one of its own origins.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .bodies import Body, respond
from .uploads import Quota, Uploads

__all__ = [
    "LOCAL",
    "PATIENCE",
    "Guard",
    "Lifespan",
    "Limits",
    "guarded",
    "network_of",
    "origin_of",
]

LOCAL = ("127.0.0.1", "::1", "localhost")
"""Host names of this machine."""

PATIENCE = 60.0
"""Seconds in which five logins from one address may fail; more are refused until they are over."""

_STRANGER = (
    "This page is not served under the name {name}. To serve it there, start it with "
    "--origin and the address that the browser shows."
)
_FOREIGN = (
    "This page accepts changes only from its own address. If this is its own address, start it "
    "with --origin and that address."
)
_CONTROL = "The address contains a control character."
_NO_FILES = b"This page takes files at /upload only."
_IMPATIENT = b'{"detail": "Five logins have failed. Wait a minute."}'
_READING = ("GET", "HEAD")
_ATTEMPTS = 5
_ADDRESSES = 10_000  # addresses whose wrong logins are remembered

_log = logging.getLogger(__name__)

App = Callable[..., Awaitable[None]]
Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]
"""What runs while an app is served."""


@dataclass(frozen=True)
class Limits:
    """The largest bodies of requests in bytes.

    Attributes:
        body: of a request; two prompt files of 1 MB fit, even if JSON writes six bytes for two.
        upload: of an upload.
        quota: of all uploads.
    """

    body: int = 8 << 20
    upload: int = 33 << 20
    quota: Quota = Quota()


@dataclass(frozen=True)
class Guard:
    """ASGI middleware around the whole app, Gradio's own middleware included.

    Attributes:
        app: the app.
        uploads: passes uploads on to the app.
        names: host names under which the page is opened; IP addresses are allowed besides,
            because they cannot be made to resolve elsewhere.
        origins: further origins of the page, as `origin_of` returns them; may grow later.
        limits: the largest bodies.
        framed: whether pages of other sites may show this one in a frame, where a visitor could
            be led to click on what is invisible.
    """

    app: App
    uploads: Uploads
    names: Collection[str]
    origins: Collection[str] = ()
    limits: Limits = Limits()
    framed: bool = False
    _logins: _Logins = field(default_factory=lambda: _Logins())

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Refuse the request, or pass it on."""
        if scope["type"] == "websocket":  # the page has none
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refusal := self._refusal(scope):
            await respond(send, 403, refusal.encode())
        elif _brings_files(scope):
            await respond(send, 415, _NO_FILES)
        elif _is_login(scope):
            await self._log_in(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    def _refusal(self, scope: dict[str, Any]) -> str:
        """Return why a request is refused; empty if it is not."""
        host, origin = _header(scope, b"host") or "", _header(scope, b"origin")
        name = _name(f"//{host}")
        known = {*self.names, *(_name(each) for each in self.origins)}
        if name is None or not (name in known or _is_address(name)):
            return _STRANGER.format(name=re.sub(r"[^\w.:-]", "?", host)[:60])
        own = origin is None or origin.partition("//")[2] == host or origin in self.origins
        if not own and scope["method"] not in _READING:
            return _FOREIGN
        return _CONTROL if re.search(r"[\x00-\x1f\x7f-\x9f]", scope["path"]) else ""

    async def _log_in(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a login on unless too many have failed from its address."""
        address, right = _address(scope), False
        if not self._logins.attempt(address):
            await respond(send, 400, _IMPATIENT, b"application/json")  # correct logins, too
            return

        async def watched(message: dict[str, Any]) -> None:
            nonlocal right
            right = right or message.get("status") == 200
            await send(message)

        await self._pass_on(scope, receive, watched)
        if right:
            self._logins.succeeded(address)

    async def _pass_on(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Call the app with a limited body, without an origin and with strict cookies.

        Without an origin Gradio's middleware allows no other page to read the response.
        """
        is_upload = _ends(scope, "/upload")
        most = self.limits.upload if is_upload else self.limits.body
        headers = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        body, size = Body(receive, send, most, framed=self.framed), _size(scope)
        if size is not None and size > most:
            await body.too_large()
            return
        scope = {**scope, "headers": headers}
        try:
            if is_upload and scope["method"] == "POST":
                visitor = network_of(_address(scope))
                await self.uploads.pass_on(self.app, scope, body, visitor, size or most)
            else:
                await self.app(scope, body.receive, body.send)
        except Exception:  # noqa: BLE001 - see below
            if not body.refused:
                # The app has answered; the server would print the trace without escaping it.
                _log.exception("internal error at %s %s", scope["method"], scope["path"])


def guarded(
    names: Collection[str],
    origins: Collection[str] = (),
    limits: Limits = Limits(),
    *,
    framed: bool = False,
) -> Lifespan:
    """Return a lifespan that puts a `Guard` around an app, for the `app_kwargs` of `launch`.

    Middleware in `app_kwargs` would come after Gradio's own, which lets every origin read the
    responses of a page that is not on this machine, and answers such questions by itself.

    Args:
        names: as in `Guard`.
        origins: as in `Guard`.
        limits: as in `Guard`.
        framed: as in `Guard`.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        uploads = Uploads(Path(app.uploaded_file_dir), limits.quota)
        stack = app.middleware_stack
        app.middleware_stack = Guard(stack, uploads, names, origins, limits, framed)
        yield

    return lifespan


def origin_of(address: str) -> str | None:
    """Return the origin of an address, `scheme://host[:port]`; None if it is not an address."""
    try:
        parts = urlsplit(address)
        named = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc.lower()}" if named and "@" not in address else None


def network_of(address: str) -> str:
    """Return an IPv4 address, or the network of an IPv6 address, all of which one visitor has."""
    try:
        return str(ip_network(f"{address}/64", strict=False)) if ":" in address else address
    except ValueError:
        return address


class _Logins:
    """The times of the logins of each address that have failed."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()  # least recent address first

    def attempt(self, address: str) -> bool:
        """Count a login as failed until it succeeds; return whether it may be tried."""
        key, now = network_of(address), time.monotonic()
        wrong = [each for each in self._wrong.pop(key, ()) if now - each < PATIENCE]
        allowed = len(wrong) < _ATTEMPTS
        self._wrong[key] = [*wrong, now] if allowed else wrong
        while len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)
        return allowed

    def succeeded(self, address: str) -> None:
        """Take back the last attempt; earlier ones still count, whoever knows the password."""
        if wrong := self._wrong.get(network_of(address)):
            wrong.pop()


def _is_login(scope: dict[str, Any]) -> bool:
    return scope["method"] == "POST" and _ends(scope, "/login")


def _brings_files(scope: dict[str, Any]) -> bool:
    """Return whether a request has files where this page takes none; Gradio would store them."""
    kind = _header(scope, b"content-type") or ""
    wanted = _ends(scope, "/upload") or _ends(scope, "/login")
    return kind.strip().lower().startswith("multipart/") and not wanted


def _ends(scope: dict[str, Any], path: str) -> bool:
    return scope["path"].rstrip("/").endswith(path)


def _address(scope: dict[str, Any]) -> str:
    return (scope.get("client") or ("",))[0]


def _size(scope: dict[str, Any]) -> int | None:
    """Return the size of a body in bytes; None if the request does not say."""
    size = _header(scope, b"content-length")
    return int(size) if size else None


def _header(scope: dict[str, Any], name: bytes) -> Any:
    """Return a header; None if it is missing."""
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == name), None)


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
