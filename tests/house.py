"""What the files of a tree import and define, read without running them."""

import ast
from collections import deque
from functools import cached_property

PACKAGES = ("app", "lineas_core", "tests")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class House:
    """The modules of a tree by dotted name; a package is called like its folder.

    A room is a folder directly below a package, or a single file beside such folders:
    `app.images`, `app.ui`, `lineas_core.models`. `app.__init__` is the room of a package itself.
    """

    def __init__(self, root):
        paths = [path for name in PACKAGES for path in sorted((root / name).rglob("*.py"))]
        self.files = {_dotted(path.relative_to(root)): path for path in paths}
        self.packages = {name for name, path in self.files.items() if path.name == "__init__.py"}
        self.texts = {name: path.read_text("utf-8") for name, path in self.files.items()}
        self.trees = {name: ast.parse(text) for name, text in self.texts.items()}
        self.imports = {name: set(self._imports(name)) for name in self.files}

    def within(self, *places):
        """The modules of packages or rooms, sorted."""
        inside = tuple(f"{place}." for place in places)
        return [n for n in self.files if n in places or n.startswith(inside)]

    def room(self, name):
        return ".".join(name.split(".")[:2]) if "." in name else f"{name}.__init__"

    @cached_property
    def features(self):
        """The rooms that hold a tab, and the history that two of them show."""
        tabs = {self.room(name) for name in self.within("app") if name.endswith(".tab")}
        return {*tabs, "app.history"}

    def reached(self, name):
        """Everything that an import of this module imports, each with one way that leads to it.

        Imports inside functions count; an import of `a.b` runs `a/__init__.py` too.
        """
        ways, waiting = {name: (name,)}, deque([name])
        while waiting:
            here = waiting.popleft()
            above = {here.rpartition(".")[0]} & self.packages
            for there in sorted(self.imports.get(here, set()) | above):
                if there not in ways:
                    ways[there] = (*ways[here], there)
                    waiting.append(there)
        return ways

    def functions(self, name):
        return [node for node in ast.walk(self.trees[name]) if isinstance(node, Function)]

    def calls(self, name):
        nodes = ast.walk(self.trees[name])
        return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}

    def outside(self, name):
        """The top-level packages that a module imports itself."""
        return {there.split(".")[0] for there in self.imports[name]}

    def private_imports(self, name):
        """The private names that a module imports from other modules of the tree."""
        for base, alias in self._from_imports(name):
            known = base in self.files or f"{base}.{alias}" in self.files
            if known and private(alias):
                yield f"{base}.{alias}"

    def _imports(self, name):
        for node in ast.walk(self.trees[name]):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
        for base, alias in self._from_imports(name):
            yield there if (there := f"{base}.{alias}") in self.files else base

    def _from_imports(self, name):
        package = name if name in self.packages else name.rpartition(".")[0]
        for node in ast.walk(self.trees[name]):
            if isinstance(node, ast.ImportFrom):
                above = package.split(".")[: -(node.level - 1) or None] if node.level else []
                base = ".".join([*above, node.module or ""]).rstrip(".")
                yield from ((base, alias.name) for alias in node.names)


def private(name):
    return name.startswith("_") and not name.endswith("__")


def _dotted(path):
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")
