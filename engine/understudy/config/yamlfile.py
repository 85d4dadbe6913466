"""YAML, read as its authors mean it."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from understudy.config.faults import NotValid


class _Yaml(yaml.SafeLoader):
    """YAML 1.2 as far as it matters: only true and false are booleans, and no key stands twice.

    In YAML 1.1 `on` and `off` are booleans, so that the key `on` of a retry would be lost.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping without duplicate keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem="key written twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_BOOL: Final = "tag:yaml.org,2002:bool"
_Yaml.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver(
    _BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str) -> object:
    """The value in a YAML text.

    Raises:
        NotValid: It is no YAML, or a key stands twice.
    """
    try:
        return yaml.load(text, _Yaml)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        twice = ": a key is written twice" if error.problem == "key written twice" else ""
        raise NotValid(f"is not valid YAML{place}{twice}") from None
    except yaml.YAMLError:
        raise NotValid("is not valid YAML: it holds characters that YAML forbids") from None
