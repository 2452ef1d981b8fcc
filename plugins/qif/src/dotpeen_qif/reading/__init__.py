"""Reading QIF documents, which anybody may have written, as streams."""

from dotpeen_qif.reading.document import read_document

__all__ = ["read_document"]
