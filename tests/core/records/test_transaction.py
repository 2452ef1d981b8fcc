"""Several changes as one: `Records.transaction`."""

from __future__ import annotations

import psycopg
import pytest

from dotpeen import Records
from dotpeen.errors import DotpeenError, InvalidValueError, RecordNotFoundError
from dotpeen.plugins import Plugins, load_plugins

from .site import Site

pytestmark = pytest.mark.slow


@pytest.fixture
def numbers(own_mes: Site) -> list[str]:
    return [str(one.values["partNumber"]) for one in own_mes.records.list("Part", limit=2).records]


def descriptions(site: Site, numbers: list[str]) -> list[object]:
    return [site.records.find("Part", number).values["description"] for number in numbers]


def change_and_fail(records: Records, numbers: list[str]) -> None:
    with records.transaction() as within:
        within.update("Part", numbers[0], {"description": "lost"})
        within.update("Part", "no such part", {"description": "lost"})


def test_all_of_it_is_kept_with_what_the_session_wrote(own_mes: Site, numbers: list[str]) -> None:
    with own_mes.records.transaction() as within:
        for number in numbers:
            within.update("Part", number, {"description": "changed"})
        within.connection.execute("CREATE TABLE public.note (text text)")
        assert within.find("Part", numbers[0]).values["description"] == "changed"
        assert own_mes.records.find("Part", numbers[0]).values["description"] != "changed"
    assert descriptions(own_mes, numbers) == ["changed", "changed"]


def test_after_an_error_nothing_is(own_mes: Site, numbers: list[str]) -> None:
    before = descriptions(own_mes, numbers)
    with pytest.raises(RecordNotFoundError):
        change_and_fail(own_mes.records, numbers)
    assert descriptions(own_mes, numbers) == before


def test_an_error_that_is_caught_leaves_what_was_done_before_it(own_mes: Site, numbers: list[str]) -> None:
    with own_mes.records.transaction() as within:
        within.update("Part", numbers[0], {"description": "changed"})
        with pytest.raises(InvalidValueError):
            within.update("Part", numbers[1], {"partNumber": None})
        with pytest.raises(DotpeenError):
            within.create("Part", {"id": "x", "partNumber": numbers[0]})
    assert own_mes.records.find("Part", numbers[0]).values["description"] == "changed"


def test_plugins_are_told_after_the_commit_alone(
    own_mes: Site, numbers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = load_plugins(own_mes.registry)
    told: list[tuple[str, object]] = []

    def note(self: Plugins, entity: object, uuid: str, operation: str, fields: object) -> None:
        told.append((uuid, own_mes.records.find("Part", uuid).values["description"]))

    monkeypatch.setattr(Plugins, "record_changed", note)
    with Records(own_mes.registry, own_mes.url, plugins=plugins) as records:
        with pytest.raises(RecordNotFoundError):
            change_and_fail(records, numbers)
        assert told == []
        with records.transaction() as within:
            part = within.update("Part", numbers[0], {"description": "kept"})
            assert told == []
        assert told == [(str(part.uuid), "kept")]


def test_a_record_that_is_read_for_a_change_is_nobody_elses_meanwhile(
    own_mes: Site, numbers: list[str]
) -> None:
    with own_mes.records.transaction() as within:
        within.update("Part", numbers[0], {})
        with own_mes.records.transaction() as other:
            other.connection.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.update("Part", numbers[0], {"description": "changed"})
