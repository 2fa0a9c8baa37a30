"""Who imports whom in the package, read from the source: also within functions and for types alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "lstmfast"


def modules(folder: Path) -> dict[str, Path]:
    """All modules of the package below `folder`, by name: `lstmfast._streams`, `lstmfast._streams.pool`."""
    found = {}
    for path in sorted(folder.rglob("*.py*")):
        if path.suffix in {".py", ".pyi"}:
            parts = path.relative_to(folder.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: set[str]) -> set[str]:
    """Which of the modules `known` the module `name` at `path` imports."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    wanted = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for text in _named(node, package):
            # `from ..a import b` may mean a module, or what a module has.
            while text and text not in known:
                text = text.rpartition(".")[0]
            wanted |= {text} - {""}
    return wanted


def _named(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package.split(".")
        base = base[: len(base) - node.level + 1] if node.level else []
        stem = ".".join([*base, *([node.module] if node.module else [])])
        yield from (f"{stem}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and node.args:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        argument = node.args[0]
        if called in {"import_module", "__import__"} and isinstance(argument, ast.Constant):
            yield str(argument.value)


def graph(folder: Path) -> dict[str, set[str]]:
    """Each module of the package, and which others it imports."""
    paths = modules(folder)
    return {name: imported(name, path, set(paths)) - {name} for name, path in paths.items()}


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Modules that reach each other: groups, each sorted (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(imports[name]):
            if other not in order:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(imports):
        if name not in order:
            visit(name)
    return found


def wing(name: str) -> str:
    """The wing of a module: `_streams` of `lstmfast._streams.pool`; the package's own name at its top."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else parts[0]
