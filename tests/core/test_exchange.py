"""Documents before there is a server or a command line: formats chosen, files whole, transactions kept."""

from __future__ import annotations

import gzip
import os
import socket
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.api.export_job import disposition
from dotpeen.api.streaming import PIECE_BYTES, in_pieces
from dotpeen.contributions import (
    ExportDocument,
    Exporter,
    ExportRequest,
    Importer,
    ImportItem,
    ImportReport,
    ImportRequest,
)
from dotpeen.errors import ConfigurationError, DotpeenError, InvalidQueryError, PluginError
from dotpeen.exchange import (
    choose_exporter,
    choose_importer,
    exporters_of,
    open_export,
    reading_session,
    run_import,
)
from dotpeen.exchange.files import write_whole
from dotpeen.hooks import hookimpl
from dotpeen.plugins import Plugins
from dotpeen.registry import Registry, parse_registry

if TYPE_CHECKING:
    from conftest import TemplateDatabase

REGISTRY = parse_registry('[entities.Part]\ntable = "part"\n[entities.Lot]\ntable = "lot"\n')
UUID = "550e8400-e29b-41d4-a716-446655440000"


def offering(exporters: dict[str, tuple[str, ...]], importers: dict[str, tuple[str, ...]]) -> Plugins:
    """Plugins of which one has these formats, for these entities and from files with these extensions."""
    offered = [
        Exporter(name, "text/plain", ".txt", entities, nothing) for name, entities in exporters.items()
    ]
    taken = [
        Importer(name, extensions, read=lambda request: ImportReport())
        for name, extensions in importers.items()
    ]
    crane: Any = ModuleType("crane")

    @hookimpl
    def dotpeen_exporters(registry: Registry) -> list[Exporter]:
        return offered

    @hookimpl
    def dotpeen_importers(registry: Registry) -> list[Importer]:
        return taken

    crane.dotpeen_exporters, crane.dotpeen_importers = dotpeen_exporters, dotpeen_importers
    plugins = Plugins(REGISTRY)
    plugins._manager.register(crane, "crane")
    return plugins


def nothing(request: ExportRequest) -> ExportDocument:
    return ExportDocument("nothing.txt", iter(()))


@pytest.mark.parametrize(
    ("entity", "chosen", "found"),
    [
        ("Part", "card", "card"),
        ("Part", "list", "list"),
        ("Lot", None, "list"),
        ("Part", None, "Part can be exported in several formats → --format: card, list"),
        ("Lot", "card", "Lot can't be exported as 'card' → card exports Part; formats of Lot: list"),
        ("Lot", "cart", "Lot can't be exported as 'cart' → formats of Lot: list"),
        ("Wheel", "card", "Wheel can't be exported as 'card' → card exports Part"),
        ("Wheel", None, "there is no format to export Wheel in"),
    ],
)
def test_the_format_is_the_named_or_the_only_one(entity: str, chosen: str | None, found: str) -> None:
    offers = offering({"card": ("Part",), "list": ("Part", "Lot")}, {})
    try:
        answer = choose_exporter(offers, entity, chosen)[1].format
    except ConfigurationError as error:
        answer = f"{error.message} → {error.hint}"
    assert answer.startswith(found)
    assert list(exporters_of(offers, "Lot")) == ["list"]


def test_a_missing_format_may_be_that_of_a_plugin_that_failed() -> None:
    crane: Any = ModuleType("crane")

    @hookimpl
    def dotpeen_exporters(registry: Registry) -> list[Exporter]:
        raise OSError("no rope")

    crane.dotpeen_exporters = dotpeen_exporters
    registry = parse_registry("[plugins.crane]\n[entities.Part]")
    plugins = Plugins(registry)
    plugins._manager.register(crane, "crane")
    for chosen in ("card", None):
        with pytest.raises(ConfigurationError) as caught:
            choose_exporter(plugins, "Part", chosen)
        assert caught.value.hint == "plugin crane: dotpeen_exporters failed: OSError: no rope"


@pytest.mark.parametrize(
    ("names", "chosen", "found"),
    [
        (["a.QIF"], None, "qif"),
        (["a.qif", "b.xml"], None, "qif"),
        (["a.xml"], None, "several formats have files like .xml"),
        (["a.xml"], "other", "other"),
        (["a.pdf"], None, "no one format has files like .pdf"),
        (["a.qif"], "none", "there is no format 'none' to import from"),
    ],
)
def test_the_importer_is_the_one_for_all_files(names: list[str], chosen: str | None, found: str) -> None:
    offers = offering({}, {"qif": (".qif", ".xml"), "other": (".xml",)})
    try:
        answer = choose_importer(offers, [Path(name) for name in names], chosen)[1].format
    except ConfigurationError as error:
        answer = error.message
    assert answer == found


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target, part = tmp_path / "a.txt", tmp_path / "a.txt.part"
    part.write_bytes(b"left by a kill")

    def chunks(*, fail: bool) -> Iterator[bytes]:
        yield b"one "
        assert part.read_bytes() in (b"", b"one ")
        if fail:
            raise RuntimeError("no more")
        yield b"two"

    with pytest.raises(RuntimeError):
        write_whole(target, chunks(fail=True))
    assert list(tmp_path.iterdir()) == []
    sizes: list[int] = []
    assert write_whole(target, chunks(fail=False), progress=sizes.append) == 7
    assert (target.read_bytes(), sizes, part.exists()) == (b"one two", [4, 7], False)
    with pytest.raises(ConfigurationError, match="can't be written: it is a directory"):
        write_whole(tmp_path, iter([b""]))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_file_that_is_replaced_passes_on_its_permissions(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"one")
    target.chmod(mode)
    write_whole(target, [b"two"])
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"two", mode)


def test_a_new_file_has_the_permissions_of_the_users_mask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a.txt", [b"one"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file, link, part = tmp_path / "there" / "a.txt", tmp_path / "link", tmp_path / "there" / "a.txt.part"
    link.symlink_to("there/a.txt")
    part.symlink_to(tmp_path / "elsewhere")
    for text in (b"one", b"two"):  # what it names is made, then replaced
        write_whole(link, [text])
        assert (link.is_symlink(), file.is_symlink(), file.read_bytes()) == (True, False, text)
    assert {one.name for one in tmp_path.rglob("*")} == {"there", "a.txt", "link"}
    link.unlink()
    link.symlink_to("link")
    with pytest.raises(ConfigurationError, match="can't be written: Too many levels of symbolic links"):
        write_whole(link, [b"three"])
    assert link.is_symlink()


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for target in (pipe, link):
        with ThreadPoolExecutor(1) as reader:
            read = reader.submit(pipe.read_bytes)
            assert write_whole(target, [b"one ", b"two"]) == 7
            assert read.result(10) == b"one two"
    assert (pipe.is_fifo(), link.is_symlink(), len(list(tmp_path.iterdir()))) == (True, True, 2)


def test_what_is_no_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("a")
        with pytest.raises(ConfigurationError, match="a can't be written: it is a device or a socket"):
            write_whole(Path("a"), [b"one"])
    assert Path("a").is_socket()


def test_small_chunks_go_together_and_none_is_lost() -> None:
    chunks = [bytes([number % 256]) * 1000 for number in range(500)]
    pieces = list(in_pieces(chunks))
    assert b"".join(pieces) == b"".join(chunks)
    assert all(len(piece) >= PIECE_BYTES for piece in pieces[:-1])
    packed = list(in_pieces([bytes(300_000)] * 20, compressed=True))
    assert gzip.decompress(b"".join(packed)) == bytes(6_000_000)
    assert len(packed) >= 5, "what compresses well is not held back until the end"
    assert list(in_pieces([])) == list(in_pieces([b"", b""])) == []


@given(st.text())
def test_a_disposition_is_one_header_whatever_the_name(name: str) -> None:
    text = disposition(name.encode("utf-8", "replace").decode()).decode("ascii")
    assert text.startswith('attachment; filename="')
    assert text.count('"') == 2
    assert text.isprintable()


Shared = Callable[[ExportRequest], ExportDocument]


def exported(url: str, open_: Shared, **options: str) -> tuple[str, bytes, str | None]:
    exporter = Exporter("card", "text/plain", ".txt", ("Part",), open_, options={"size": "How large"})
    entity = REGISTRY.entities["Part"]
    with reading_session(url) as connection:
        found = open_export(
            "crane", exporter, connection, REGISTRY, entity, UUID, audience="internal", options=options
        )
        return found.file_name, b"".join(found.chunks), found.etag


@pytest.mark.parametrize(
    ("proposed", "safe"),
    [
        ("-rf.txt", "rf.txt"),
        (".-hidden.txt", "hidden.txt"),
        (" . a.b.txt. ", "a.b.txt"),
        ("-.txt", f"{UUID}.txt"),
        (".profile", f"{UUID}.txt"),
        ("", f"{UUID}.txt"),
        ("a" * 300 + ".txt", "a" * 176 + ".txt"),
        ("1." + "a" * 300, "1." + "a" * 178),
        ("é" * 300 + ".qif", "é" * 88 + ".qif"),
        ("a" * 175 + ". b.txt", "a" * 175 + ".txt"),
    ],
)
def test_a_proposed_name_is_one_that_every_system_takes(
    template_database: TemplateDatabase, proposed: str, safe: str
) -> None:
    found, _, _ = exported(
        template_database("exchange", build), lambda request: ExportDocument(proposed, iter(()))
    )
    assert found == safe


def build(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE part (id int PRIMARY KEY, name text)")
        connection.execute("INSERT INTO part SELECT n, 'a' FROM generate_series(1, 3) AS n")


class TestExporting:
    def test_everything_is_of_one_moment_and_nothing_is_written(
        self, template_database: TemplateDatabase
    ) -> None:
        url = template_database("exchange", build)

        def open_(request: ExportRequest) -> ExportDocument:
            def chunks() -> Iterator[bytes]:
                for _ in range(2):
                    row = request.connection.execute("SELECT count(*) FROM public.part").fetchone()
                    yield str(row).encode()
                    with psycopg.connect(url) as other:
                        other.execute("INSERT INTO part SELECT max(id) + 1, 'late' FROM part")

            return ExportDocument("a/b.txt", chunks())

        assert exported(url, open_) == ("a_b.txt", b"(3,)(3,)", None)

        def write(request: ExportRequest) -> ExportDocument:
            request.connection.execute("DELETE FROM public.part")
            return ExportDocument("a.txt", iter(()))

        with pytest.raises(PluginError, match="plugin crane: format card failed: ReadOnlySqlTransaction"):
            exported(url, write)

    def test_what_an_exporter_says_on_purpose_comes_through(
        self, template_database: TemplateDatabase
    ) -> None:
        url = template_database("exchange", build)

        def refuse(request: ExportRequest) -> ExportDocument:
            raise DotpeenError("nothing to export")

        def quit_(request: ExportRequest) -> ExportDocument:
            return ExportDocument("", iter([b"a", "b"]))  # type: ignore[list-item]

        with pytest.raises(DotpeenError, match=r"^nothing to export$"):
            exported(url, refuse)
        with pytest.raises(InvalidQueryError, match="the format has no option 'colour'; there are size"):
            exported(url, nothing, colour="red")
        with pytest.raises(PluginError, match="gave str and not bytes"):
            exported(url, quit_)
        assert exported(url, nothing, size="2") == ("nothing.txt", b"", None)


@pytest.mark.parametrize(
    ("lines", "asked", "committed", "names"),
    [
        ("ok", {}, True, {"ok"}),
        ("ok", {"dry_run": True}, False, {"a"}),
        ("ok wrong", {}, False, {"a"}),
        ("ok wrong", {"partial": True}, True, {"a", "ok"}),
        ("ok wrong", {"partial": True, "dry_run": True}, False, {"a"}),
    ],
)
def test_an_import_is_committed_only_where_it_may_be(
    template_database: TemplateDatabase,
    tmp_path: Path,
    lines: str,
    asked: dict[str, Any],
    committed: bool,  # noqa: FBT001
    names: set[str],
) -> None:
    url = template_database("exchange", build)
    file = tmp_path / "a.card"
    file.write_text(lines)

    def read(request: ImportRequest) -> ImportReport:
        report = ImportReport()
        for number, word in enumerate(request.files[0].read_text().split()):
            if word == "ok":
                wrong = " AND id = 1" if "wrong" in lines else ""
                request.connection.execute(f"UPDATE public.part SET name = 'ok' WHERE true{wrong}".encode())
            outcome: Any = "updated" if word == "ok" else "conflicting"
            report.add(ImportItem(outcome, "Part", word, f"a.card:{number}"))
        return report

    done = run_import("crane", Importer("card", (".card",), read), url, REGISTRY, [file], **asked)
    assert done.committed is committed
    assert done.report.clean is ("wrong" not in lines)
    with psycopg.connect(url) as connection:
        assert {name for (name,) in connection.execute("SELECT name FROM part").fetchall()} == names


def test_an_import_that_fails_writes_nothing(template_database: TemplateDatabase, tmp_path: Path) -> None:
    url = template_database("exchange", build)
    file = tmp_path / "a.card"
    file.touch()

    def fail(request: ImportRequest) -> ImportReport:
        request.connection.execute("DELETE FROM public.part")
        raise KeyError("x")

    with pytest.raises(PluginError, match="format card failed: KeyError"):
        run_import("crane", Importer("card", (".card",), fail), url, REGISTRY, [file], partial=True)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM part").fetchone() == (3,)


def test_an_import_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    loop, lost, plain = tmp_path / "loop.card", tmp_path / "lost.card", tmp_path / "plain"
    loop.symlink_to(loop)
    lost.symlink_to(tmp_path / "none")
    plain.touch()
    importer = Importer("card", (".card",), lambda request: ImportReport())
    for file, message in (
        (loop, "its symbolic links lead in a circle"),
        (lost, "there is no such file"),
        (tmp_path, "it is no file"),
        (plain / "a.card", "Not a directory"),
    ):
        with pytest.raises(ConfigurationError, match=f"can't be read: {message}"):
            run_import("crane", importer, "postgresql://none", REGISTRY, [file])
