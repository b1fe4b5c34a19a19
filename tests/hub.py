"""A stand-in for huggingface.co on the loopback interface.

It answers what its clients ask when they download: repository and tree listings, and files by HEAD
and GET with ETag, commit, redirects to the store of large files, and ranges. It knows gated
repositories, and can break a download in the middle or go away. It does not speak Xet, the
protocol that the hub prefers for large files.
"""

import hashlib
import json
import re
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_of_a_member_who_accepted_the_terms"
_LARGE = (".safetensors", ".bin", ".parquet", ".model", ".jsonl")  # kept in the store
_LISTING = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)/?(.*))?")
_FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Repository:
    """A repository with its files; a gated one asks for a token whose owner accepted its terms."""

    files: dict[str, bytes]
    gated: bool = False
    commit: str = hashlib.sha1(b"a commit").hexdigest()

    @classmethod
    def of(cls, folder, **facts):
        """Read all files of a folder."""
        files = sorted(file for file in Path(folder).rglob("*") if file.is_file())
        return cls({f.relative_to(folder).as_posix(): f.read_bytes() for f in files}, **facts)


@dataclass
class Hub:
    """What the stand-in holds, what it was asked, and the accidents that are ahead of it.

    Attributes:
        repositories: id -> repository; the id of a dataset starts with `datasets/`.
        url: value for HF_ENDPOINT.
        asked: (method, path, range) of every request.
        cuts: name of a file -> bytes after which its next downloads break off, one by one.
        resets: whether a broken connection is reset rather than closed.
        leaves_at: end of a path; the server stops for good when a file there is downloaded.
    """

    repositories: dict[str, Repository]
    url: str = ""
    asked: list = field(default_factory=list)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    resets: bool = False
    leaves_at: str | None = None

    def downloads(self, name=""):
        """The paths of the files whose content was downloaded, and which contain a name."""
        return [path for method, path, _ in self.asked if method == "GET" and name in path]


@contextmanager
def serve(repositories):
    """Serve repositories on a free port; yields the `Hub`."""
    hub = Hub(repositories)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: _Answer(hub, server, *arguments)
    )
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answer(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    def __init__(self, hub, server, request, address, _server):
        self.hub, self.listening = hub, server
        super().__init__(request, address, _server)

    def log_message(self, *_):
        """Write no log; `Hub.asked` is one."""

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        if self.hub.leaves_at and self.command == "GET" and path.endswith(self.hub.leaves_at):
            self._leave()
        elif path == "/":
            self._send(HTTPStatus.OK, b"a hub", {"Content-Type": "text/html"})
        elif path.startswith("/store/"):
            _, _, digest, name = path.split("/", 3)
            held = (d for r in self.hub.repositories.values() for d in r.files.values())
            self._send_file(next(d for d in held if _sha256(d) == digest), name, {})
        elif match := _LISTING.fullmatch(path):
            self._list(*match.groups())
        elif match := _FILE.fullmatch(path):
            self._resolve(*match.groups(default=""))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "", "Sorry, we can't find the page.")

    def _leave(self):
        self.hub.leaves_at = None
        self.close_connection = True
        self.listening.shutdown()
        self.listening.socket.close()

    def _list(self, kind, name, listing, revision, folder):
        held = self.hub.repositories.get(name if kind == "models" else f"datasets/{name}")
        if held is None:
            self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Invalid username or password.")
        elif revision not in (None, "main", held.commit):
            self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif listing == "tree":
            recursive = "recursive" in parse_qs(urlsplit(self.path).query)
            self._send_json(_tree(held, folder, recursive))
        else:
            names = {"id": name, "modelId": name, "sha": held.commit, "private": False}
            facts = {"gated": "manual" if held.gated else False, "disabled": False, "tags": []}
            siblings = [{"rfilename": file} for file in held.files]
            self._send_json({**names, **facts, "downloads": 1, "likes": 1, "siblings": siblings})

    def _resolve(self, dataset, name, revision, file):
        held = self.hub.repositories.get(dataset + name)
        token = self.headers.get("Authorization")
        if held is None:
            self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Invalid username or password.")
        elif held.gated and token != f"Bearer {TOKEN}":
            status = HTTPStatus.FORBIDDEN if token else HTTPStatus.UNAUTHORIZED
            message = f"Access to model {name} is restricted. You must have access to it and be"
            message += " authenticated to access it. Please log in."
            if token:
                message = f"Access to model {name} is restricted and you are not in the authorized"
                message += f" list. Visit https://huggingface.co/{name} to ask for access."
            self._refuse(status, "GatedRepo", message)
        elif revision not in ("main", held.commit):
            self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif file not in held.files:
            commit = {"X-Repo-Commit": held.commit}
            self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", commit)
        else:
            self._send_held(held, file)

    def _send_held(self, held, file):
        data, commit = held.files[file], {"X-Repo-Commit": held.commit}
        if not file.endswith(_LARGE):
            return self._send_file(data, file, commit | {"ETag": f'"{_blob(data)}"'})
        size, digest = str(len(data)), _sha256(data)
        linked = {"X-Linked-Size": size, "X-Linked-ETag": f'"{digest}"', "ETag": f'"{digest}"'}
        # Another host, as on the hub: its clients take a redirect to the same one for a renaming.
        port = urlsplit(self.hub.url).port
        place = {"Location": f"http://localhost:{port}/store/{digest}/{file}"}
        return self._send(HTTPStatus.FOUND, b"", commit | linked | place)

    def _send_file(self, data, name, headers):
        """Send a file or a range of it; it may break off, as `Hub.cuts` says."""
        status, start = HTTPStatus.OK, 0
        if asked := self.headers.get("Range"):
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", asked).groups()
            start, end = int(first), int(last or len(data) - 1)
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            data = data[: end + 1]
        headers = {"Accept-Ranges": "bytes", **headers}
        cuts = self.hub.cuts.get(name.rpartition("/")[2]) if self.command == "GET" else None
        self._send(status, data[start:], headers, cuts.pop(0) if cuts else None)

    def _refuse(self, status, code, message, headers=None):
        said = {"X-Error-Code": code, "X-Error-Message": message}
        self._send(status, json.dumps({"error": message}).encode(), said | (headers or {}))

    def _send_json(self, value):
        headers = {"Content-Type": "application/json"}
        self._send(HTTPStatus.OK, json.dumps(value).encode(), headers)

    def _send(self, status, data, headers, cut=None):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(data)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[:cut])
        if cut is not None:
            self.close_connection = True
            if self.hub.resets:
                linger = struct.pack("ii", 1, 0)  # closing then sends a reset
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()


def _tree(held, folder, recursive):
    """The entries of a folder, or of all below it."""
    entries, folders = [], {}
    for path, data in held.files.items():
        if folder and not path.startswith(f"{folder}/"):
            continue
        inner = path[len(folder) + 1 :] if folder else path
        parents = [path[: len(path) - len(inner) + m.start()] for m in re.finditer("/", inner)]
        folders |= dict.fromkeys(parents if recursive else parents[:1])
        if recursive or not parents:
            entries.append({"type": "file", "oid": _blob(data), "size": len(data), "path": path})
            if path.endswith(_LARGE):
                lfs = {"oid": _sha256(data), "size": len(data), "pointerSize": 134}
                entries[-1]["lfs"] = lfs
    kind = {"type": "directory", "oid": "0" * 40, "size": 0}
    return [{**kind, "path": path} for path in folders] + entries


def _blob(data):
    """The name that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sha256(data):
    return hashlib.sha256(data).hexdigest()
