"""A node of the interface needs no more rights than the documentation grants it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dotpeen.partners import AuditEntry, AuditLog, Directory, RateLimiter
from dotpeen.partners import directory as directory_module
from dotpeen.partners import limits as limits_module

from .site import Site, open_pool


def test_a_role_with_the_documented_rights_can_run_a_node_and_no_more(
    site: Site, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "_TIDY_SECONDS", 0.0)
    monkeypatch.setattr(limits_module, "_TIDY_SECONDS", 0.0)
    page = (repository / "docs" / "partners.md").read_text(encoding="utf-8")
    (grants,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    role = f"api_{uuid4().hex[:12]}"
    token = site.add().token
    try:
        site.connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        site.connection.execute(grants.replace("TO api;", f"TO {role};").encode())
        url = make_conninfo(site.url, user=role)

        async def node() -> None:
            async with open_pool(url) as pool:
                directory, limiter, log = Directory(pool), RateLimiter(pool), AuditLog(pool)
                grant = await directory.authenticate(token.text)
                limiter.check(grant)
                assert await limiter.share()
                access = await directory.issue_access_token(token.id, token.secret)
                await directory.authenticate(access.token)
                site.connection.execute(
                    "UPDATE dotpeen.partner_token SET expires_at = now() - interval '2 d' WHERE kind = 'access'"
                )
                assert await directory.refresh()
                await directory.refresh()
                now = datetime.now(UTC)
                await log.write(
                    AuditEntry(now, "acme", token.id, "GET", "/", None, None, 0, 200, None, None, 1)
                )

        asyncio.run(node())
        assert site.rows("SELECT count(*) FROM dotpeen.partner_token") == [(1,)]
        assert site.rows("SELECT last_used_at IS NOT NULL FROM dotpeen.partner_token") == [(True,)]
        with psycopg.connect(url, autocommit=True) as connection:
            for forbidden in (
                "DELETE FROM dotpeen.audit",
                "UPDATE dotpeen.audit SET partner = 'other'",
                "UPDATE dotpeen.api_state SET external_enabled = false",
                "UPDATE dotpeen.partner SET scopes = '{*:write}'",
                "UPDATE dotpeen.partner_token SET expires_at = NULL",
                "INSERT INTO dotpeen.partner (name, name_key, scopes, created_by) VALUES ('x', 'x', '{*:read}', 'x')",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(forbidden.encode())
    finally:
        site.connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        site.connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
