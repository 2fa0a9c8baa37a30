"""The stub of the compiled core names what there is: every class, function and argument, and no other."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import lstmfast
from lstmfast import _core

Signature = tuple[str, ...]


def signature(function: ast.FunctionDef) -> Signature:
    """The arguments as they stand, with their defaults and the marks between them, without their types."""
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    return tuple(ast.unparse(arguments).split(", "))


def stub_signatures() -> dict[str, Signature]:
    """Every function and method of _core.pyi; a property and a class stand without arguments."""
    tree = ast.parse(Path(lstmfast.__file__).with_name("_core.pyi").read_text(encoding="utf-8"))
    found: dict[str, Signature] = {}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    scopes: list[ast.Module | ast.ClassDef] = [tree, *classes]
    for scope in scopes:
        prefix = f"{scope.name}." if isinstance(scope, ast.ClassDef) else ""
        if prefix:
            found[prefix] = ()
        for node in scope.body:
            if isinstance(node, ast.FunctionDef):
                found[prefix + node.name] = () if node.decorator_list else signature(node)
    return found


def compiled_signatures() -> dict[str, Signature]:
    """The same from the module: pybind11 writes signatures, all of an overloaded one, into docstrings."""
    found: dict[str, Signature] = {}
    for scope in [_core, *(value for value in vars(_core).values() if inspect.isclass(value))]:
        prefix = f"{scope.__name__}." if inspect.isclass(scope) else ""
        if prefix:
            found[prefix] = ()
        for name, value in vars(scope).items():
            if isinstance(value, property):
                found[prefix + name] = ()
            elif callable(value) and not inspect.isclass(value) and (name == "__init__" or name[0] != "_"):
                lines = re.findall(rf"^(?:\d+\. )?({name}\((?!\*args).*)$", value.__doc__ or "", re.M)
                if name == "__init__" and not lines:
                    continue  # a class that cannot be made from Python
                assert lines, f"{prefix}{name}: no signature in its docstring"
                signatures = {signature(ast.parse(f"def {line}: ...").body[0]) for line in lines}  # type: ignore[arg-type]
                assert len(signatures) == 1, f"{prefix}{name}: overloads differ in more than types"
                found[prefix + name] = signatures.pop()
    return found


def test_stub_names_what_the_compiled_core_has() -> None:
    assert stub_signatures() == compiled_signatures()
