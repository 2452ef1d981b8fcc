"""Makes AP242 files of any size, as a CAD system writes them: an assembly, its parts' B-rep, tolerances, UUIDs.

`uv run python benchmarks/step_files.py FILE --size 200`. The same size gives the same bytes.
"""

from __future__ import annotations

import argparse
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SOLIDS_PER_PART: Final = 400
SCHEMA: Final = "AP242_MANAGED_MODEL_BASED_3D_ENGINEERING_MIM_LF { 1 0 10303 442 7 1 4 }"
_SOLID_BYTES: Final = 7_500
"""Of one solid in the file, about."""

_CORNERS: Final = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))
_EDGES: Final = (
    (0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7),
)  # fmt: skip
_FACES: Final = (
    # edges and their directions, a corner, normal, reference direction
    (((3, 0), (2, 0), (1, 0), (0, 0)), 0, (0, 0, -1), (1, 0, 0)),
    (((4, 1), (5, 1), (6, 1), (7, 1)), 4, (0, 0, 1), (1, 0, 0)),
    (((0, 1), (9, 1), (4, 0), (8, 0)), 0, (0, -1, 0), (1, 0, 0)),
    (((2, 1), (11, 1), (6, 0), (10, 0)), 2, (0, 1, 0), (1, 0, 0)),
    (((8, 1), (7, 0), (11, 0), (3, 1)), 0, (-1, 0, 0), (0, 1, 0)),
    (((1, 1), (10, 1), (5, 0), (9, 0)), 1, (1, 0, 0), (0, 1, 0)),
)


class _Writer:
    """Numbers instances and keeps their text until it is taken."""

    def __init__(self, seed: int) -> None:
        self.next = 1
        self.lines: list[str] = []
        self.random = random.Random(seed)

    def add(self, body: str) -> int:
        number = self.next
        self.next += 1
        self.lines.append(f"#{number}={body};\n")
        return number

    def uuid(self, number: int) -> None:
        made = uuid.UUID(int=self.random.getrandbits(128), version=5)
        self.add(f"V5_UUID_ATTRIBUTE('{made}',((#{number})))")

    def take(self) -> bytes:
        text = "".join(self.lines)
        self.lines.clear()
        return text.encode("ascii")


class _Assembly(NamedTuple):
    """What the parts are put into: references."""

    definition: int
    representation: int


def chunks(size: int, *, revision: int = 0) -> Iterator[bytes]:
    """Yield a file of about so many bytes, part by part.

    Another `revision` has every tenth solid moved, and other UUIDs of the shapes; everything else stays.
    """
    yield (
        "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION(('CAx-IF Rec.Pracs.---Persistent IDs---1.00---2023-11-28'),'2;1');\n"
        "FILE_NAME('generated','2026-01-01T00:00:00',(''),(''),'dotpeen benchmark','dotpeen benchmark','');\n"
        f"FILE_SCHEMA(('{SCHEMA}'));\nENDSEC;\nDATA;\n"
    ).encode("ascii")
    out = _Writer(seed=1)
    shared = _contexts(out)
    root = _product(out, "ASSEMBLY", revision, shared)
    origin = _placement(out, 0)
    whole = out.add(f"SHAPE_REPRESENTATION('',(#{origin}),#{shared[2]})")
    out.add(f"SHAPE_DEFINITION_REPRESENTATION(#{root[1]},#{whole})")
    assembly = _Assembly(root[0], whole)
    yield out.take()
    solids = max(1, size // _SOLID_BYTES)
    for part, first in enumerate(range(0, solids, SOLIDS_PER_PART)):
        _part(out, part, min(SOLIDS_PER_PART, solids - first), assembly, revision, shared)
        yield out.take()
    yield b"ENDSEC;\nEND-ISO-10303-21;\n"


def write(target: Path, size: int, *, revision: int = 0) -> int:
    """Write such a file; returns its bytes."""
    with target.open("wb") as file:
        return sum(file.write(chunk) for chunk in chunks(size, revision=revision))


def _contexts(out: _Writer) -> tuple[int, int, int, int]:
    application = out.add("APPLICATION_CONTEXT('managed model based 3d engineering')")
    out.add(
        "APPLICATION_PROTOCOL_DEFINITION('international standard',"
        f"'ap242_managed_model_based_3d_engineering',2022,#{application})"
    )
    product = out.add(f"PRODUCT_CONTEXT('',#{application},'mechanical')")
    definition = out.add(f"PRODUCT_DEFINITION_CONTEXT('part definition',#{application},'design')")
    length = out.add("(LENGTH_UNIT() NAMED_UNIT(*) SI_UNIT(.MILLI.,.METRE.))")
    angle = out.add("(NAMED_UNIT(*) PLANE_ANGLE_UNIT() SI_UNIT($,.RADIAN.))")
    solid = out.add("(NAMED_UNIT(*) SI_UNIT($,.STERADIAN.) SOLID_ANGLE_UNIT())")
    uncertainty = out.add(
        f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(0.001),#{length},'distance_accuracy_value','')"
    )
    context = out.add(
        "(GEOMETRIC_REPRESENTATION_CONTEXT(3) "
        f"GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT((#{uncertainty})) "
        f"GLOBAL_UNIT_ASSIGNED_CONTEXT((#{length},#{angle},#{solid})) REPRESENTATION_CONTEXT('','3D'))"
    )
    return product, definition, context, length


def _product(out: _Writer, number: str, revision: int, shared: tuple[int, int, int, int]) -> tuple[int, int]:
    """Write a product; returns its definition and its shape."""
    product = out.add(f"PRODUCT('{number}','{number.title()} of the benchmark','',(#{shared[0]}))")
    formation = out.add(f"PRODUCT_DEFINITION_FORMATION('{revision}','',#{product})")
    definition = out.add(f"PRODUCT_DEFINITION('design','',#{formation},#{shared[1]})")
    shape = out.add(f"PRODUCT_DEFINITION_SHAPE('','',#{definition})")
    made = uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.org/{number}/{revision}")
    out.add(f"V5_UUID_ATTRIBUTE('{made}',((#{shape})))")
    return definition, shape


def _placement(out: _Writer, along: int) -> int:
    point = out.add(f"CARTESIAN_POINT('',({along}.,0.,0.))")
    axis, reference = out.add("DIRECTION('',(0.,0.,1.))"), out.add("DIRECTION('',(1.,0.,0.))")
    return out.add(f"AXIS2_PLACEMENT_3D('',#{point},#{axis},#{reference})")


def _part(
    out: _Writer,
    part: int,
    solids: int,
    assembly: _Assembly,
    revision: int,
    shared: tuple[int, int, int, int],
) -> None:
    add = out.add
    definition, shape = _product(out, f"PN-{part:05}", revision, shared)
    bodies = [_solid(out, part, number, revision) for number in range(solids)]
    origin = _placement(out, 0)
    items = ",".join(f"#{one}" for one in [origin, *bodies])
    representation = add(f"ADVANCED_BREP_SHAPE_REPRESENTATION('',({items}),#{shared[2]})")
    add(f"SHAPE_DEFINITION_REPRESENTATION(#{shape},#{representation})")
    for number in range(solids // 20):
        _dimension(out, shape, number, shared)
    place = _placement(out, 1200 * part)
    usage = add(
        f"NEXT_ASSEMBLY_USAGE_OCCURRENCE('{part}','PN-{part:05}:1','',#{assembly.definition},#{definition},$)"
    )
    placed = add(f"PRODUCT_DEFINITION_SHAPE('','',#{usage})")
    transformation = add(f"ITEM_DEFINED_TRANSFORMATION('','',#{origin},#{place})")
    relation = add(
        f"(REPRESENTATION_RELATIONSHIP('','',#{representation},#{assembly.representation}) "
        f"REPRESENTATION_RELATIONSHIP_WITH_TRANSFORMATION(#{transformation}) SHAPE_REPRESENTATION_RELATIONSHIP())"
    )
    add(f"CONTEXT_DEPENDENT_SHAPE_REPRESENTATION(#{relation},#{placed})")


def _dimension(out: _Writer, shape: int, number: int, shared: tuple[int, int, int, int]) -> None:
    aspect = out.add(f"SHAPE_ASPECT('Length {number}','',#{shape},.T.)")
    size = out.add(f"DIMENSIONAL_SIZE(#{aspect},'curve length')")
    nominal = out.add(
        "(LENGTH_MEASURE_WITH_UNIT() MEASURE_REPRESENTATION_ITEM() "
        f"MEASURE_WITH_UNIT(POSITIVE_LENGTH_MEASURE({10 + number}.),#{shared[3]}) "
        "REPRESENTATION_ITEM('nominal value'))"
    )
    values = out.add(f"SHAPE_DIMENSION_REPRESENTATION('',(#{nominal}),#{shared[2]})")
    out.add(f"DIMENSIONAL_CHARACTERISTIC_REPRESENTATION(#{size},#{values})")
    lower = out.add(f"MEASURE_WITH_UNIT(LENGTH_MEASURE(-0.05),#{shared[3]})")
    upper = out.add(f"MEASURE_WITH_UNIT(LENGTH_MEASURE(0.05),#{shared[3]})")
    out.add(f"PLUS_MINUS_TOLERANCE(#{out.add(f'TOLERANCE_VALUE(#{lower},#{upper})')},#{size})")
    out.uuid(size)


def _solid(out: _Writer, part: int, number: int, revision: int) -> int:
    """Write a box somewhere, face by face as a CAD system does; returns the solid."""
    add = out.add
    chance = random.Random(part * SOLIDS_PER_PART + number)
    if revision and number % 10 == 0:
        chance = random.Random(-revision - part * SOLIDS_PER_PART - number)
    origin = [chance.uniform(-500, 500) for _ in range(3)]
    size = [chance.uniform(1, 80) for _ in range(3)]

    def point(corner: tuple[int, int, int]) -> int:
        x, y, z = (start + along * length for start, along, length in zip(origin, corner, size, strict=True))
        return add(f"CARTESIAN_POINT('',({_real(x)},{_real(y)},{_real(z)}))")

    def direction(vector: tuple[int, ...]) -> int:
        return add(f"DIRECTION('',({','.join(f'{one}.' for one in vector)}))")

    vertices = [add(f"VERTEX_POINT('',#{point(corner)})") for corner in _CORNERS]
    edges = []
    for start, end in _EDGES:
        along = tuple(b - a for a, b in zip(_CORNERS[start], _CORNERS[end], strict=True))
        vector = add(f"VECTOR('',#{direction(along)},1.)")
        line = add(f"LINE('',#{point(_CORNERS[start])},#{vector})")
        edges.append(add(f"EDGE_CURVE('EC{number}',#{vertices[start]},#{vertices[end]},#{line},.T.)"))
    faces = []
    for turns, corner, normal, reference in _FACES:
        oriented = [
            add(f"ORIENTED_EDGE('',*,*,#{edges[edge]},{'.T.' if forward else '.F.'})")
            for edge, forward in turns
        ]
        loop = add(f"EDGE_LOOP('',({','.join(f'#{one}' for one in oriented)}))")
        bound = add(f"FACE_OUTER_BOUND('',#{loop},.T.)")
        place = add(
            f"AXIS2_PLACEMENT_3D('',#{point(_CORNERS[corner])},#{direction(normal)},#{direction(reference)})"
        )
        plane = add(f"PLANE('',#{place})")
        faces.append(add(f"ADVANCED_FACE('AF{number}',(#{bound}),#{plane},.T.)"))
    shell = add(f"CLOSED_SHELL('',({','.join(f'#{face}' for face in faces)}))")
    for face in faces[:5]:
        out.uuid(face)
    return add(f"MANIFOLD_SOLID_BREP('PartBody{number}',#{shell})")


def _real(number: float) -> str:
    text = f"{number:.12g}"
    return text if "." in text else f"{text}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", type=float, default=200, metavar="MB")
    parser.add_argument("--revision", type=int, default=0)
    arguments = parser.parse_args()
    size = write(arguments.file, int(arguments.size * 1e6), revision=arguments.revision)
    print(f"{arguments.file}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
