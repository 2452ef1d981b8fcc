"""Small exchange structures for tests."""

AP242_E2 = "AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 3 1 4 }"
AP242_E4 = "AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 7 1 4 }"


def part21(
    data: str | bytes,
    *,
    schema: str = AP242_E2,
    level: str = "2;1",
    name: str = "part",
    system: str = "CAD 1",
    header: str | bytes = b"",
    sections: str | bytes = b"",
    newline: bytes = b"\n",
) -> bytes:
    """Return an exchange structure with these instances in its data section.

    `header` is added to the header, `sections` stands between header and data (anchors, references). Line feeds
    in all of them become `newline`.
    """
    description = f"FILE_DESCRIPTION((''),'{level}');\n".encode()
    file_name = f"FILE_NAME('{name}','2026-01-02T03:04:05',('A'),('O'),'P','{system}','');\n".encode()
    text = (
        b"ISO-10303-21;\nHEADER;\n" + description + file_name + f"FILE_SCHEMA(('{schema}'));\n".encode()
        + _bytes(header) + b"ENDSEC;\n" + _bytes(sections) + b"DATA;\n" + _line(_bytes(data))
        + b"ENDSEC;\nEND-ISO-10303-21;\n"
    )  # fmt: skip
    return text.replace(b"\n", newline)


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


def _line(text: bytes) -> bytes:
    return text if not text or text.endswith(b"\n") else text + b"\n"
