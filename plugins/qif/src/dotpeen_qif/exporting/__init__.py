"""QIF documents of a part's plans and results, streamed out of the database."""

from dotpeen_qif.exporting.exporters import exporters

__all__ = ["exporters"]
