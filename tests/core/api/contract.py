"""An OpenAPI document as something to hold answers against."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker

PARTS = re.compile(r"\{[^}]+\}")


class Contract:
    """What a document promises."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Path, method and operation of each."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield path, method, operation

    def operation(self, identifier: str) -> dict[str, Any]:
        return next(one for *_, one in self.operations() if one["operationId"] == identifier)

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """What a reference leads to."""
        while "$ref" in node:
            found: Any = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                found = found[unquote(name)]
            node = found
        return node

    def errors(self, schema: dict[str, Any], value: object) -> list[str]:
        """Why a value is not what a schema describes; empty when it is."""
        whole = {**schema, "components": self.document["components"]}
        validator = Draft202012Validator(whole, format_checker=FormatChecker())
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    def answer_errors(self, method: str, path: str, status: int, kind: str, body: object) -> list[str]:
        """Why an answer is not one that the document promises for this path as it was asked."""
        operation = self._asked(method, path)
        response = operation["responses"].get(str(status))
        if response is None:
            return [f"{operation['operationId']} has no response {status}"]
        content = self.resolved(response).get("content", {})
        if kind not in content:
            return [] if not content and body is None else [f"{status} of {path} is no {kind}"]
        return self.errors(content[kind]["schema"], body)

    def examples(self) -> Iterator[tuple[str, dict[str, Any], Any]]:
        """Where an example stands, its schema and the example, for each there is."""
        yield from self._examples(self.document, "#")

    def _asked(self, method: str, path: str) -> dict[str, Any]:
        fitting = [
            (len(PARTS.findall(template)), item)
            for template, item in self.document["paths"].items()
            if re.fullmatch("[^/]+".join(re.escape(part) for part in PARTS.split(template)), path)
            and method.lower() in item
        ]
        return min(fitting, key=lambda one: one[0])[1][method.lower()]

    def _examples(self, node: Any, where: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
        if isinstance(node, list):
            for number, part in enumerate(node):
                yield from self._examples(part, f"{where}/{number}")
        if not isinstance(node, dict):
            return
        if "schema" in node:
            if "example" in node:
                yield where, node["schema"], node["example"]
            for name, example in node.get("examples", {}).items():
                yield f"{where}/{name}", node["schema"], example["value"]
        elif isinstance(node.get("examples"), list):
            for example in node["examples"]:
                yield where, node, example
        for name, part in node.items():
            if name not in ("example", "examples", "properties") or isinstance(part, dict):
                yield from self._examples(part, f"{where}/{name}")
