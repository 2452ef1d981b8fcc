"""An import that is killed leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TemplateDatabase

from .documents import Doc, Item, Measured, uuid
from .mes import ENTITIES, EVERYTHING, Mes, build, counts

pytestmark = pytest.mark.slow

_IMPORT = """
import sys
from pathlib import Path
from dotpeen.database import connect
from dotpeen.demo.run import demo_registry
from dotpeen.hooks import ImportRequest
from dotpeen_qif.importing.importer import read
from dotpeen_qif.settings import Settings

def progress(what, done, total):
    if what == "measurements":
        print("written", flush=True)
        sys.stdin.readline()

with connect(sys.argv[1], purpose="test", autocommit=False) as connection:
    files, options = (Path(sys.argv[2]),), {"create": sys.argv[3]}
    request = ImportRequest(demo_registry(), connection, files, options=options, progress=progress)
    read(request, Settings())
    connection.commit()
"""


def test_a_killed_import_leaves_nothing_and_the_next_one_everything(
    template_database: TemplateDatabase, tmp_path: Path
) -> None:
    mes = Mes(template_database("qif_empty", build))
    file = Doc(
        "all", [Item("Length A")], results=[Measured(0, "10.1", uuid=uuid(str(n))) for n in range(500)]
    ).write(tmp_path)

    process = subprocess.Popen(
        [sys.executable, "-c", _IMPORT, mes.url, str(file), EVERYTHING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()

    assert [mes.count(table) for table in ENTITIES] == [0] * len(ENTITIES)
    assert mes.rows("SELECT to_regnamespace('dotpeen_qif')") == [(None,)]
    report = mes.load(file, create=EVERYTHING)
    assert counts(report)["QIFMeasurementResult"] == {"created": 500}
