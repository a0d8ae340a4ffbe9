"""Descriptions of the schema, from docstrings: of a class, of a function, and under each attribute of a class."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import lru_cache
from itertools import pairwise
from typing import Any


def of_class(cls: type[Any]) -> str | None:
    """The class's own docstring, as one paragraph."""
    text = cls.__dict__.get("__doc__")
    return _one_paragraph(text) if text else None


def of_attributes(cls: type[Any]) -> dict[str, str]:
    """The string that stands right under each annotated attribute, by the attribute's name."""
    path = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return _of_module(path).get(cls.__qualname__, {}) if path else {}


def of_function(function: Any) -> str | None:
    """A function's docstring, as one paragraph."""
    return _one_paragraph(function.__doc__) if function.__doc__ else None


@lru_cache(maxsize=256)
def _of_module(path: str) -> dict[str, dict[str, str]]:
    with open(path, encoding="utf-8") as source:  # noqa: PTH123 - a module's own file, read once at import
        tree = ast.parse(source.read())
    return {node.name: _of_body(node.body) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_body(body: list[ast.stmt]) -> dict[str, str]:
    texts = {}
    for statement, following in pairwise(body):
        match statement, following:
            case (ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text))):
                texts[name] = _one_paragraph(text)
            case _:
                pass
    return texts


def _one_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split())
