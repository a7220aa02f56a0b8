"""Read untrusted YAML documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.reading import read_bytes

MAXIMUM_BYTES = 1 << 17
"""Largest accepted file, which takes about a second to read; those of the package are below 20 kB."""
DEEPEST = 32
"""Maximum nesting of collections; the scanner's time grows with its square."""


class _Refused(yaml.YAMLError):
    """A YAML construct that is not plain data."""


class _PlainLoader(yaml.SafeLoader):
    """Loader of plain data.

    It refuses aliases (which could expand to gigabytes), tags, deep nesting, and keys that are repeated or not text.
    """

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803 - yaml's name
        self._require_shallow()
        super().fetch_flow_collection_start(TokenClass)

    def add_indent(self, column: int) -> bool:
        self._require_shallow()
        return bool(super().add_indent(column))

    def _require_shallow(self) -> None:
        if self.flow_level + len(self.indents) > DEEPEST:
            raise _Refused("is nested too deeply")

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(f"line {line} uses an alias, which is not allowed")
        if getattr(event, "tag", None) is not None:
            raise _Refused(f"line {line} uses a tag, which is not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise _Refused(f"line {line} has a key that is not text")
            if key.value in seen:
                raise _Refused(f"line {line} repeats the key {key.value!r}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file with a mapping at its top level.

    Raises
    ------
    FileError
        The file cannot be read, is larger than 128 KiB, is not YAML, repeats a key, uses an alias, or is no mapping.
    """
    content = read_bytes(path, MAXIMUM_BYTES, "expected a short YAML file")
    try:
        document = yaml.load(content, _PlainLoader)
    except _Refused as error:
        raise FileError(path, str(error)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise FileError(path, f"is not YAML: {error.problem}{place}") from error
    except RecursionError as error:
        raise FileError(path, "is nested too deeply") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise FileError(path, f"is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(document, dict):
        raise FileError(path, "does not contain a mapping", remedy="expected keys and values")
    return document
