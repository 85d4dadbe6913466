"""The part of the style guide that a machine can hold."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(p for root in ("engine", "actors", "sim") for p in (ROOT / root).rglob("*.py"))
LINES_MAX = 400
FUNCTION_LINES_MAX = 60
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_a_module_fits_in_the_head(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") <= LINES_MAX, "split it along a noun"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name}: {length} lines"


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_every_public_name_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if not tree.body:
        return
    assert ast.get_docstring(tree), "the module says what it is about"
    for name, node in public_definitions(tree):
        assert ast.get_docstring(node), f"{name} says what it does"


def public_definitions(tree: ast.Module) -> list[tuple[str, Definition]]:
    found: list[tuple[str, Definition]] = []
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            found.append((node.name, node))
            if isinstance(node, ast.ClassDef):
                found += [
                    (f"{node.name}.{each.name}", each)
                    for each in node.body
                    if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                    and not each.name.startswith("_")
                    and not any(ast.unparse(by) == "overload" for by in each.decorator_list)
                ]
    return found


def test_everything_that_is_installed_is_pinned() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.strip()]
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.]+", line) for line in pins)
    pinned = {normal(line.split("==")[0]) for line in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in wanted:
        name = re.split(r"[><=\[; ]", requirement)[0]
        assert normal(name) in pinned, f"{name} has no pin in constraints.txt"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
