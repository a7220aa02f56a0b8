"""JSON Schema of profile files, for editors and other tools.

1. It is derived from the pydantic models, so the two cannot disagree.
2. A file with ``extends`` may omit any section and any figure; one without must have them all, except for those of
   ``microcode``, which are unpublished by default. Figures are always complete.
3. JSON Schema cannot express that low, value and high ascend; `pisnn-deploy profiles validate` checks that as well.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any

from pisnn_deploy.core.docstrings import docstring
from pisnn_deploy.target import boards
from pisnn_deploy.target import schema as sections
from pisnn_deploy.target.schema import Figure, Profile, Section

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXTENDS = {
    "description": "Name of a profile of the library, or path of a profile relative to this file. This file then has "
    "only the differences; figures are replaced as a whole.",
    "minLength": 1,
    "type": "string",
}


def json_schema() -> dict[str, Any]:
    """Build the JSON Schema (draft 2020-12) of profiles of chips."""
    schema, parts = _read(Profile, sections)
    needed = _needed(schema, parts)
    return {
        "$schema": DIALECT,
        "title": "Hardware profile of pisnn-deploy",
        "description": schema["description"],
        "type": "object",
        "properties": {"extends": dict(_EXTENDS), **schema["properties"]},
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "else": {"required": schema["required"], "properties": needed},
        "$defs": dict(sorted(parts.items())),
    }


def board_schema() -> dict[str, Any]:
    """Build the JSON Schema (draft 2020-12) of profiles of boards, which their field ``target`` tells apart."""
    parts: dict[str, Any] = {}
    cases = []
    for name, kind in sorted(boards.KINDS.items()):
        schema, own = _read(kind, boards, sections)
        needed, target = _needed(schema, own), schema["properties"]["target"]
        parts |= own
        parts[kind.__name__] = {
            "description": schema["description"],
            "type": "object",
            "properties": {"extends": dict(_EXTENDS), **schema["properties"], "target": {**target, "const": name}},
            "additionalProperties": False,
        }
        is_kind = {"properties": {"target": {"const": name}}, "required": ["target"]}
        cases.append({"if": is_kind, "then": {"$ref": f"#/$defs/{kind.__name__}"}})
        is_whole = {**is_kind, "not": {"required": ["extends"]}}
        cases.append({"if": is_whole, "then": {"required": schema["required"], "properties": needed}})
    kinds = [{"$ref": f"#/$defs/{kind.__name__}"} for _, kind in sorted(boards.KINDS.items())]
    return {
        "$schema": DIALECT,
        "title": "Profile of a board for pisnn-deploy",
        "description": docstring(boards.Board),
        "type": "object",
        "properties": {"target": {"description": "Kind of the board.", "enum": sorted(boards.KINDS)}},
        "if": {"required": ["target"]},
        "then": {"allOf": cases},
        "else": {"required": ["extends"], "anyOf": kinds},
        "$defs": dict(sorted(parts.items())),
    }


def _needed(schema: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """Move what sections require out of them, because a file with ``extends`` may omit it."""
    needed: dict[str, Any] = {}
    for field, value in schema["properties"].items():
        part = parts.get(value.get("$ref", "").rpartition("/")[2])
        if part is not None and "required" in part:
            needed[field] = {"required": part.pop("required")}
    return needed


def _read(model: type[Section], *modules: ModuleType) -> tuple[dict[str, Any], dict[str, Any]]:
    """Schema of a model, and its parts by names that do not depend on the version of pydantic."""
    schema = _plain(_described(model, modules))
    renamed = {}
    for key, part in schema["$defs"].items():
        if "confidence" in part["properties"]:
            renamed[key] = _figure_name(part)
            part["description"] = docstring(Figure)
    if len(set(renamed.values())) < len(renamed):
        raise AssertionError(f"two kinds of figures have the same name: {sorted(renamed.values())}")
    parts = {renamed.get(key, key): _with_references(part, renamed) for key, part in sorted(schema["$defs"].items())}
    return schema, parts


def _described(model: type[Section], modules: tuple[ModuleType, ...]) -> dict[str, Any]:
    """Add the text below each field as its description.

    Pydantic could do so while building the models, but that doubles the start-up time of all commands.
    """
    schema = model.model_json_schema()
    texts: dict[str, dict[str, str]] = {}
    classes: dict[str, type] = {}
    for module in reversed(modules):
        for section in ast.parse(inspect.getsource(module)).body:
            if isinstance(section, ast.ClassDef):
                texts[section.name] = dict(_texts_below_fields(section))
                classes[section.name] = getattr(module, section.name)
    for name, part in [(model.__name__, schema), *schema["$defs"].items()]:
        own = Figure.__name__ if name.startswith(Figure.__name__ + "_") else name
        part.setdefault("description", docstring(classes[own]))
        lines = classes[own].__mro__[::-1]
        descriptions = {field: text for line in lines for field, text in texts.get(line.__name__, {}).items()}
        for field, value in part["properties"].items():
            if field in descriptions:
                value["description"] = descriptions[field]
    return schema


def _texts_below_fields(section: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(section.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            yield field.target.id, str(ast.literal_eval(below.value))


def _plain(schema: Any) -> Any:
    """Remove generated titles, and join descriptions to one line."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # A property itself may be named title or description; its schema is then a mapping.
    plain = {key: item for key, item in schema.items() if key != "title" or isinstance(item, dict)}
    text = plain.get("description")
    if isinstance(text, str):
        plain["description"] = " ".join(text.split())
    return {key: _plain(item) for key, item in plain.items()}


def _figure_name(figure: dict[str, Any]) -> str:
    """Name of a kind of figure, from the schema of its value; pydantic's own names depend on its version."""
    value = figure["properties"]["value"]
    kinds = value.get("anyOf", [value])
    words = []
    for kind in kinds:
        low = {0: "NonNegative", 1: "Positive"}.get(kind.get("minimum"), "")
        words.append("Word" if "enum" in kind else low + kind["type"].capitalize())
    return "FigureOf" + "Or".join(words)


def _with_references(schema: Any, renamed: dict[str, str]) -> Any:
    if isinstance(schema, list):
        return [_with_references(item, renamed) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _with_references(item, renamed) for key, item in schema.items()}
    if isinstance(result.get("$ref"), str):
        head, _, key = result["$ref"].rpartition("/")
        result["$ref"] = f"{head}/{renamed.get(key, key)}"
    return result
