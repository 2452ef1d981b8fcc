"""The settings of `[plugins.qif]` and the hooks of this plugin."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from dotpeen.hooks import Health, hookimpl
from dotpeen.registry import Registry, plugin_settings


class Settings(BaseModel):
    """What may stand under `[plugins.qif]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_dir: Path | None = None
    """Folder with the XML schemas of QIF as published: it has `QIFApplications/QIFDocument.xsd`."""


@hookimpl
def dotpeen_health(registry: Registry) -> Health:
    """Tell whether the schemas are where the settings say."""
    folder = plugin_settings(registry, "qif", Settings).schema_dir
    if folder is None:
        return Health(ok=True, message="no schema_dir: documents can't be validated against the QIF schemas")
    document = folder / "QIFApplications" / "QIFDocument.xsd"
    if not document.is_file():
        return Health(ok=False, message=f"schema_dir: no {document}")
    return Health(ok=True, message=f"schemas in {folder}")
