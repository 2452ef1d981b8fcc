"""The OpenAPI 3.1 document, made from the registry and the database."""

from dotpeen.api.openapi.document import document

__all__ = ["document"]
