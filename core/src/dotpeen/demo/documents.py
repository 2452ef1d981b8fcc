"""The demonstration's last act: a part, its plan and its results, in whatever formats plugins contribute."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dotpeen.demo.run import demo_registry
from dotpeen.exchange import exporters_of, models_of, open_export, reading_session
from dotpeen.exchange.files import write_whole
from dotpeen.plugins import Plugins

FORMATS: Final = ("qif-plan", "qif-results", "step")

# The part with the most results of few, so that the documents can be read by people too.
_SHOWN: Final = """
SELECT p."persistentUuid"::text
  FROM public."Part" AS p JOIN public."QIFMeasurementPlan" AS q ON q."partId" = p."id"
       JOIN public."QIFCharacteristic" AS c ON c."planId" = q."id"
       JOIN public."QIFMeasurementResult" AS r ON r."characteristicId" = c."id"
 WHERE p."id" IN (SELECT "id" FROM public."Part" ORDER BY "id" COLLATE "C" LIMIT 50)
 GROUP BY 1 ORDER BY abs(count(*) - 200), 1 LIMIT 1
"""


def export_documents(url: str, plugins: Plugins, folder: Path) -> list[Path]:
    """Write the documents of one part of the migrated sample MES to a folder; none where no plugin has formats."""
    registry = demo_registry()
    part = registry.entities["Part"]
    found = exporters_of(plugins, part.name)
    written: list[Path] = []
    with reading_session(url) as connection:
        row = connection.execute(_SHOWN).fetchone()
        if row is None:
            return []
        for name in FORMATS:
            if name not in found:
                continue
            plugin, exporter = found[name]
            export = open_export(
                plugin,
                exporter,
                connection,
                registry,
                part,
                row[0],
                audience="internal",
                models=models_of(plugins, url),
            )
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / export.file_name, export.chunks)
            written.append(folder / export.file_name)
    return written
