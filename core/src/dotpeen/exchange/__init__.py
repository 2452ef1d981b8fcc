"""Documents of records: exported and imported in the formats that plugins contribute."""

from dotpeen.exchange.exporting import Export, open_export, reading_session
from dotpeen.exchange.formats import choose_exporter, choose_importer, exporters_of
from dotpeen.exchange.importing import run_import
from dotpeen.exchange.models import models_of

__all__ = [
    "Export",
    "choose_exporter",
    "choose_importer",
    "exporters_of",
    "models_of",
    "open_export",
    "reading_session",
    "run_import",
]
