from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples(standards: Path) -> Path:
    """The folder with real STEP files, which are not ours to ship."""
    folder = standards / "step" / "samples"
    if not folder.is_dir():
        pytest.skip(f"no STEP samples in {folder}")
    return folder
