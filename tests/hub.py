"""A stand-in for huggingface.co on the loopback interface.

It answers what its clients ask when they download: repository and tree listings, and files by HEAD
and GET with ETag, commit, redirects to the store of large files, and ranges. It also takes
uploads: a new repository, the check of its card, large files into the store, and commits, of which
all can be read. It knows gated repositories, and can break a download in the middle, refuse, or go
away. It does not speak Xet, the protocol that the hub prefers for large files.
"""

import base64
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

import yaml
from huggingface_hub import constants
from transformers.utils.hub import hf_api

TOKEN = "hf_of_a_member_who_accepted_the_terms"
WRITER, NAMESPACE = "hf_of_me_who_may_write", "me"
_LARGE = (".safetensors", ".bin", ".parquet", ".model", ".jsonl", ".csv")  # kept in the store
_LISTING = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)/?(.*))?")
_FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_UPLOAD = re.compile(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main")
_BATCH = re.compile(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch")
_MODEL = re.compile(r"[\w.-]+(/[\w.-]+)?")
_LICENCES = ("apache-2.0", "cc0-1.0", "gemma", "mit", "other")  # some of those that the hub knows


@dataclass
class Repository:
    """A repository with its files; a gated one asks for a token whose owner accepted its terms."""

    files: dict[str, bytes]
    gated: bool = False
    commit: str = hashlib.sha1(b"a commit").hexdigest()
    private: bool = False
    earlier: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def at(self, revision):
        """The commit of a revision and its files; None if there is no such revision."""
        if revision in (None, "main", self.commit):
            return self.commit, self.files
        return (revision, self.earlier[revision]) if revision in self.earlier else None

    def change(self, files):
        """Make a commit with other files."""
        self.earlier[self.commit], self.files = self.files, files
        number = len(self.earlier)
        self.commit = hashlib.sha1(b"commit %d" % number).hexdigest()

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
        holds: name of a file -> event for which its downloads wait.
        refuses: part of a path -> status with which every request there is answered.
        store: sha256 -> content of the large files that were uploaded.
    """

    repositories: dict[str, Repository]
    url: str = ""
    asked: list = field(default_factory=list)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    resets: bool = False
    leaves_at: str | None = None
    holds: dict[str, threading.Event] = field(default_factory=dict)
    refuses: dict[str, int] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)

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


def use(hub, monkeypatch, cache, token=None):
    """Make the hub's client ask this hub, with a cache and a token of its own."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    here = re.sub(r"https?://[^/]+", hub.url, template, count=1)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", here)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    # transformers keeps the client of the hub that it asked first, and would wait for it.
    monkeypatch.setattr(hf_api(), "endpoint", hub.url)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN", raising=False)


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

    def do_POST(self):
        self._take()

    def do_PUT(self):
        self._take()

    def _answer(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        if status := self._refused(path):
            self._refuse(status, "", "Not now.")
        elif self.hub.leaves_at and self.command == "GET" and path.endswith(self.hub.leaves_at):
            self._leave()
        elif path == "/":
            self._send(HTTPStatus.OK, b"a hub", {"Content-Type": "text/html"})
        elif path.startswith("/store/"):
            _, _, digest, name = path.split("/", 3)
            versions = [
                files
                for repository in self.hub.repositories.values()
                for files in (repository.files, *repository.earlier.values())
            ]
            held = (data for files in versions for data in files.values())
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
        held = self._visible(name if kind == "models" else f"datasets/{name}")
        if held is None:
            self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Invalid username or password.")
        elif not (version := held.at(revision)):
            self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif listing == "tree":
            recursive = "recursive" in parse_qs(urlsplit(self.path).query)
            self._send_json(_tree(version[1], folder, recursive))
        else:
            names = {"id": name, "modelId": name, "sha": version[0], "private": held.private}
            facts = {"gated": "manual" if held.gated else False, "disabled": False}
            facts["tags"] = [f"license:{each}" for each in _licences(version[1])]
            siblings = [{"rfilename": f, "size": len(d)} for f, d in version[1].items()]
            self._send_json({**names, **facts, "downloads": 1, "likes": 1, "siblings": siblings})

    def _visible(self, name):
        held, token = self.hub.repositories.get(name), self.headers.get("Authorization")
        return held if held and (not held.private or token == f"Bearer {WRITER}") else None

    def _resolve(self, dataset, name, revision, file):
        held = self._visible(dataset + name)
        token = self.headers.get("Authorization")
        if held is None:
            self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Invalid username or password.")
        elif held.gated and token != f"Bearer {TOKEN}":
            status = HTTPStatus.FORBIDDEN if token else HTTPStatus.UNAUTHORIZED
            kind = "dataset" if dataset else "model"
            message = f"Access to {kind} {name} is restricted. You must have access to it and be"
            message += " authenticated to access it. Please log in."
            if token:
                message = (
                    f"Access to {kind} {name} is restricted and you are not in the authorized"
                )
                message += (
                    f" list. Visit https://huggingface.co/{dataset}{name} to ask for access."
                )
            self._refuse(status, "GatedRepo", message)
        elif not (version := held.at(revision)):
            self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif file not in version[1]:
            commit = {"X-Repo-Commit": version[0]}
            self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", commit)
        else:
            self._send_held(version[1][file], version[0], file)

    def _send_held(self, data, commit, file):
        commit = {"X-Repo-Commit": commit}
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
        if self.command == "GET" and (held := self.hub.holds.get(name.rpartition("/")[2])):
            held.wait()
        self._send(status, data[start:], headers, cuts.pop(0) if cuts else None)

    def _refused(self, path):
        return next((status for part, status in self.hub.refuses.items() if part in path), None)

    def _take(self):
        """Answer a request that brings something."""
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, None))
        body = self._body()
        if status := self._refused(path):
            self._refuse(status, "", "Not now.")
        elif path.startswith("/store/"):
            self.hub.store[path.rpartition("/")[2]] = body
            self._send(HTTPStatus.OK, b"", {})
        elif path == "/api/validate-yaml":
            self._validate(yaml.safe_load(json.loads(body)["content"].split("---")[1]))
        elif self.headers.get("Authorization") not in (f"Bearer {TOKEN}", f"Bearer {WRITER}"):
            message = "Invalid credentials in Authorization header"
            self._refuse(HTTPStatus.UNAUTHORIZED, "", message)
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif match := _BATCH.fullmatch(path):
            self._send_json(
                {"objects": [self._action(each) for each in json.loads(body)["objects"]]}
            )
        elif (match := _UPLOAD.fullmatch(path)) and match[2] == "preupload":
            self._preupload(self.hub.repositories[match[1]], json.loads(body)["files"])
        elif match:
            self._commit(match[1], [json.loads(line) for line in body.splitlines()])

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _create(self, asked):
        owner = asked["organization"] or NAMESPACE
        name = f"{owner}/{asked['name']}"
        if owner != NAMESPACE or self.headers["Authorization"] != f"Bearer {WRITER}":
            message = f"You don't have the rights to create a model under the namespace {owner}"
            return self._refuse(HTTPStatus.FORBIDDEN, "", message)
        url = f"{self.hub.url}/{name}"
        if name in self.hub.repositories:
            said = {"error": "You already created this model repo", "url": url}
            return self._send(HTTPStatus.CONFLICT, json.dumps(said).encode(), {})
        private = asked.get("visibility") == "private" or asked.get("private", False)
        self.hub.repositories[name] = Repository({}, private=private)
        return self._send_json({"url": url, "name": name})

    def _validate(self, front):
        """Refuse the front matter of a card as the hub does."""
        errors = []
        if "base_model" in front and not _MODEL.fullmatch(front["base_model"]):
            errors.append('"base_model" is not valid. Use a model id from https://hf.co/models.')
        if front.get("license", "other") not in _LICENCES:
            errors.append('"license" must be one of the known identifiers')
        if not re.fullmatch(r"[a-z0-9.-]+", front.get("license_name", "a")):
            errors.append('"license_name" is not valid')
        status = HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK
        answer = {"errors": [{"message": each} for each in errors], "warnings": []}
        self._send(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _action(self, asked):
        href = f"{self.hub.url}/store/{asked['oid']}"
        return {**asked, "actions": {"upload": {"href": href, "header": {}}}}

    def _preupload(self, held, files):
        answers = []
        for file in files:
            path, mode = file["path"], "lfs" if file["path"].endswith(_LARGE) else "regular"
            data = held.files.get(path)
            oid = data and (_sha256(data) if mode == "lfs" else _blob(data))
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._send_json({"files": answers})

    def _commit(self, name, lines):
        held = self.hub.repositories[name]
        files = dict(held.files)
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.store[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        held.change(files)
        place = f"{self.hub.url}/{name}/commit/{held.commit}"
        self._send_json({"success": True, "commitUrl": place, "commitOid": held.commit})

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
        if self.command != "HEAD":
            self.wfile.write(data[:cut])
        if cut is not None:
            self.close_connection = True
            if self.hub.resets:
                linger = struct.pack("ii", 1, 0)  # closing then sends a reset
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()


def _licences(files):
    """The licence that the card of a repository states."""
    card = files.get("README.md", b"").decode()
    return re.findall(r"^license: *(\S+)$", card, flags=re.MULTILINE)


def _tree(files, folder, recursive):
    """The entries of a folder, or of all below it."""
    entries, folders = [], {}
    for path, data in files.items():
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
