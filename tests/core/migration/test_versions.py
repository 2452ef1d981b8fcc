"""Every version in every form: the values are right, for rows that were there and for new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from dotpeen.database import connect
from dotpeen.database.schema import upgrade

from .plant import NAMESPACE, Plant

if TYPE_CHECKING:
    from conftest import TemplateDatabase

ENTITIES = {
    f"{kind}{version}": f"uuid = {{ column = 'uuid', {form}, version = {version} }}"
    for version in (4, 5, 7)
    for kind, form in (
        ("Native", "type = 'uuid'"),
        ("Text", "type = 'text'"),
        ("Aside", "storage = 'sidecar'"),
    )
}


def derived(entity: str, name: str) -> UUID:
    return uuid5(uuid5(UUID(NAMESPACE), entity), name)


def declare_all(plant: Plant) -> None:
    for entity in ENTITIES:
        plant.execute(f"CREATE TABLE {entity} (id int PRIMARY KEY, number text NOT NULL UNIQUE)")
        plant.execute(f"INSERT INTO {entity} SELECT n, 'Π/' || n || ':%' FROM generate_series(1, 20) AS n")
    plant.declare(
        "\n".join(
            f"[entities.{entity}]\ntable = '{entity.lower()}'\nbusiness_id = 'number'\n{uuid}"
            for entity, uuid in ENTITIES.items()
        )
    )


def values(plant: Plant, entity: str) -> dict[int, str]:
    if entity.startswith("Aside"):
        return {int(key): str(uuid) for key, uuid in plant.identities(entity).items()}
    return {key: str(uuid) for key, uuid in plant.uuids(entity).items()}


def test_every_version_in_every_form(plant: Plant) -> None:
    declare_all(plant)
    checks = plant.up()
    assert [check for check in checks if check.outcome == "failed"] == []
    for entity in ENTITIES:
        plant.execute(f"INSERT INTO {entity} VALUES (21, 'Π/21:%')")
        found = values(plant, entity)
        assert sorted(found) == list(range(1, 22))
        assert len(set(found.values())) == 21
        for uuid in found.values():
            assert uuid == str(UUID(uuid))
            assert (UUID(uuid).version, UUID(uuid).variant) == (int(entity[-1]), "specified in RFC 4122")
        if entity.endswith("5"):
            assert found == {key: str(derived(entity, f"Π/{key}:%")) for key in found}
    assert plant.plan().pending == ()


def test_version_7_sorts_by_time_also_by_our_own_function(plant: Plant) -> None:
    made = []
    for _ in range(3):
        made.append(plant.value("SELECT dotpeen.uuid_v7()"))
        plant.execute("SELECT pg_sleep(0.002)")
    assert made == sorted(made)
    assert {uuid.version for uuid in made} == {7}
    now = plant.value("SELECT extract(epoch FROM clock_timestamp()) * 1000")
    assert abs(int(now) - (made[-1].int >> 80)) < 5000


def test_composite_business_identifier_escapes_its_parts(plant: Plant) -> None:
    plant.execute("CREATE TABLE lot (id int PRIMARY KEY, plant text, number text, UNIQUE (plant, number))")
    plant.execute("ALTER TABLE lot ALTER plant SET NOT NULL, ALTER number SET NOT NULL")
    plant.execute("INSERT INTO lot VALUES (1, 'a:b', 'c'), (2, 'a', 'b:c'), (3, 'a%3Ab', 'c'), (4, '', '%')")
    plant.declare(
        "[entities.Lot]\nbusiness_id = ['plant', 'number']\ntable = 'lot'\nuuid = { column = 'uuid', version = 5 }"
    )
    plant.up()
    assert plant.uuids("lot") == {
        1: derived("Lot", "a%3Ab:c"),
        2: derived("Lot", "a:b%3Ac"),
        3: derived("Lot", "a%253Ab:c"),
        4: derived("Lot", ":%25"),
    }


def test_two_sites_derive_the_same_uuid(template_database: TemplateDatabase) -> None:
    """Whatever the site's own settings say about dates."""
    found = []
    for setting, key in (("'SQL, DMY'", 1), ("'German'", 7)):
        url = template_database("dotpeen", upgrade)
        plant = Plant(url)
        name = plant.connection.info.dbname
        plant.execute(f"ALTER DATABASE {name} SET datestyle = {setting}")
        plant.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")
        plant.close()
        plant = Plant(url)
        plant.execute("CREATE TABLE run (id int PRIMARY KEY, began timestamptz NOT NULL UNIQUE)")
        plant.execute(f"INSERT INTO run VALUES ({key}, '2024-01-02 03:04:05.5+00')")
        plant.declare(
            "[entities.Run]\nbusiness_id = 'began'\ntable = 'run'\nuuid = { column = 'uuid', version = 5 }"
        )
        plant.up()
        plant.execute(f"INSERT INTO run VALUES ({key + 1}, '2025-01-02 03:04:05+00')")
        found.append(list(plant.uuids("run").values()))
        plant.close()
    assert (
        found[0]
        == found[1]
        == [
            derived("Run", "2024-01-02T03:04:05.500000Z"),
            derived("Run", "2025-01-02T03:04:05.000000Z"),
        ]
    )


def test_version_5_of_pgcrypto_and_of_our_own_sha1_are_the_same(plant: Plant) -> None:
    names = ["", "a", "Ω" * 40, "x" * 55, "x" * 56, "x" * 63, "x" * 64, "x" * 1000]
    with connect(plant.url, purpose="test") as connection:
        for name in names:
            row = connection.execute("SELECT dotpeen.uuid_v5(%s, %s)", [NAMESPACE, name]).fetchone()
            assert row == (uuid5(UUID(NAMESPACE), name),)
