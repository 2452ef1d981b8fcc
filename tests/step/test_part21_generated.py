"""Generated exchange structures in all forms of the syntax scan to what was generated."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dotpeen_step.part21 import Instance, Part21File
from step.part21_strategies import Structure, Written, structures

BLOCKS = st.sampled_from([1, 2, 7, 64, 1000, 256 * 1024])


def seen(instance: Instance) -> tuple[object, ...]:
    return instance.id, instance.raw, instance.parts, bool(instance.keyword), instance.references()


def expected(written: Written) -> tuple[object, ...]:
    return written.id, written.text, written.parts, written.simple, written.references


@settings(max_examples=25, deadline=None)
@given(structure=structures(), block=BLOCKS)
def test_every_instance_is_found_where_it_is(structure: Structure, block: int) -> None:
    with Part21File.from_bytes(structure.text, block=block) as file:
        found = list(file.scan())
        assert [seen(instance) for instance in found] == [
            expected(written) for _, written in structure.instances
        ]
        assert [instance.offset for instance in found] == [offset for offset, _ in structure.instances]
        assert all(structure.text[instance.offset : instance.end] == instance.raw for instance in found)


@settings(max_examples=25, deadline=None)
@given(structure=structures(), block=BLOCKS, data=st.data())
def test_keywords_select_instances_checked_or_not(
    structure: Structure, block: int, data: st.DataObject
) -> None:
    every = sorted({part.keyword for _, written in structure.instances for part in written.parts})
    keywords = frozenset(data.draw(st.lists(st.sampled_from(every or ["NONE"]), max_size=2)))
    wanted = [
        offset
        for offset, written in structure.instances
        if any(part.keyword in keywords for part in written.parts)
    ]
    with Part21File.from_bytes(structure.text, block=block) as file:
        assert [instance.offset for instance in file.find(keywords)] == wanted
        assert [instance.offset for instance in file.instances(keywords)] == wanted
        assert [instance.offset for instance in file.instances(keywords)] == wanted


@settings(max_examples=25, deadline=None)
@given(structure=structures(), block=BLOCKS)
def test_sections_are_found_checked_or_not(structure: Structure, block: int) -> None:
    with Part21File.from_bytes(structure.text, block=block) as file:
        unchecked = file.data_sections
        list(file.scan())
        assert file.data_sections == unchecked
        assert [(section.name, section.schemas) for section in unchecked] == structure.sections
        for section in unchecked:
            assert structure.text[section.start :].startswith(b"DATA")
            assert structure.text[section.inside - 1 : section.inside] == b";"
            assert structure.text[section.closing :].startswith(b"ENDSEC")
            assert structure.text[section.end - 1 : section.end] == b";"
        assert [(anchor.name, anchor.value, anchor.tags) for anchor in file.anchors] == structure.anchors
        assert [(external.name, external.uri) for external in file.references] == structure.externals
        for anchor in file.anchors:
            assert structure.text[anchor.offset : anchor.end].startswith(b"<anchor-")


@settings(max_examples=25, deadline=None)
@given(structure=structures(), block=BLOCKS)
def test_instances_are_fetched_by_name(structure: Structure, block: int) -> None:
    defined = {written.id: offset for offset, written in structure.instances}
    others = {int(name[1:]) for name, _ in structure.externals if name[0] == "#"}
    asked = {*defined, *others, 7, 10**17}
    with Part21File.from_bytes(structure.text, block=block) as file:
        fetched = file.fetch(asked)
        assert {name: instance.offset for name, instance in fetched.items()} == defined
        assert file.has(asked) == {*defined, *others}
        unused = file.unused_ids(12)
        assert not file.has(unused)
        assert len(set(unused)) == 12
