"""Fixtures of the tests of partners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from dotpeen.database.schema import upgrade

from .site import Site

if TYPE_CHECKING:
    from conftest import TemplateDatabase


@pytest.fixture
def site(template_database: TemplateDatabase) -> Iterator[Site]:
    """A site without partners."""
    site = Site(template_database("dotpeen", upgrade))
    yield site
    site.close()
