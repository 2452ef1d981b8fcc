"""The settings of a site: everything of the registry but its entities."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    field_validator,
    model_validator,
)

from dotpeen.errors import ConfigurationError
from dotpeen.identifiers import parse_uuid

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|h)")
_LONGEST = 366 * 24 * 3600.0
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


def _duration(value: object) -> object:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(f'{value!r} is no duration: write a number and ms, s, min or h, such as "500ms"')
        seconds = float(match[1]) * _UNITS[match[2]]
        if seconds > _LONGEST:
            raise ValueError(f"{value!r} is longer than a year")
        return timedelta(seconds=seconds)
    if isinstance(value, timedelta):
        return value
    raise ValueError('write a duration as text, such as "500ms"')


def _uuid(value: object) -> object:
    return parse_uuid(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Integer = Annotated[int, Field(strict=True)]


class Model(BaseModel):
    """A part of the registry: no unknown keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(Model):
    """Who this is; the namespace makes version 5 UUIDs the same at every site that shares it."""

    name: str = "plant"
    namespace: Annotated[UUID, BeforeValidator(_uuid)] | None = None


class DatabaseSettings(Model):
    """Where the data is. Without a URL the embedded PostgreSQL serves."""

    url: str | None = None
    replicas: tuple[str, ...] = ()

    @field_validator("url", "replicas")
    @classmethod
    def _no_password(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for url in (value,) if isinstance(value, str) else value or ():
            if not url.startswith("env:") and re.search(r"://[^/@]*:[^/@]+@|password\s*=\s*\S", url):
                raise ValueError('a password does not belong in the registry: write "env:NAME" and set NAME')
        return value


class MigrationSettings(Model):
    """How gently the migration treats the plant. Every default is meant for a busy production database."""

    lock_timeout: Duration = timedelta(milliseconds=500)
    """Longest time a schema change waits for its lock, and so the longest it makes others wait behind it."""
    lock_patience: Duration = timedelta(minutes=10)
    """How long a schema change keeps trying before it gives up."""
    batch_target: Duration = timedelta(milliseconds=150)
    """What one batch of the backfill should take."""
    batch_min: Integer = Field(default=100, ge=1)
    batch_max: Integer = Field(default=50_000, ge=1)
    max_replica_lag: Duration | None = timedelta(seconds=10)
    """The backfill pauses while a streaming replica is further behind."""
    max_waiting_sessions: Integer = Field(default=0, ge=0)
    """The backfill pauses while more sessions than this wait for a lock it holds."""
    max_active_sessions: Integer | None = Field(default=None, ge=1)
    """The backfill pauses while more sessions than this are at work; unset: no limit."""
    pause_on_autovacuum: StrictBool = False
    """Pause while every autovacuum worker is busy."""

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.batch_min > self.batch_max:
            raise ValueError("batch_min is larger than batch_max")
        for name in ("lock_timeout", "lock_patience", "batch_target"):
            if getattr(self, name) <= timedelta(0):
                raise ValueError(f"{name} must be longer than nothing")
        return self


class ApiSettings(Model):
    """The REST interface."""

    host: str = "127.0.0.1"
    port: Integer = Field(default=8000, ge=1, le=65535)
    internal_token: str | None = None
    """Opens the internal and flexible routes to callers that send it as their bearer token: `env:NAME`."""
    internal_port: Integer | None = Field(default=None, ge=1, le=65535)
    """A second listener, on which the internal and flexible routes need no token: keep it off partners' nets."""
    internal_host: str = "127.0.0.1"
    internal_names: tuple[str, ...] = ()
    """Names by which the second listener is asked for, beside addresses, localhost and the machine's own name."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose scripts may call the external routes; none by default."""
    rate_limit: str = "6000/min"
    """Requests per partner where `dotpeen partner add` said nothing else; "0": no limit."""
    request_timeout: Duration = timedelta(seconds=10)
    """The longest a request waits for the database before it is answered with 503."""
    max_body: Integer = Field(default=1_048_576, ge=1024)
    """Bytes; a larger request body is refused with 413."""
    pool_size: Integer = Field(default=8, ge=2, le=500)
    """Database sessions of one process."""
    max_exports: Integer = Field(default=4, ge=1, le=100)
    """Documents that one process makes at a time; each has a database session of its own."""
    export_timeout: Duration = timedelta(minutes=10)
    """The longest that a document takes, from the request to its last byte."""
    access_log: StrictBool = False
    """Log every request; without it failures and slow ones."""

    @field_validator("internal_token")
    @classmethod
    def _token_from_environment(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("env:"):
            raise ValueError('a token does not belong in the registry: write "env:NAME" and set NAME')
        return value

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str) -> str:
        if re.fullmatch(r"0|[1-9][0-9]{0,8}/(s|min|h)", value) is None:
            raise ValueError(f'{value!r} is no rate: write "600/min" (or /s, /h), or "0" for no limit')
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if re.fullmatch(r"https?://[^/\s*?#]+", origin) is None:
                raise ValueError(
                    f"{origin!r} is no origin: write scheme and host, such as https://portal.example.com"
                )
        return value

    @model_validator(mode="after")
    def _ports(self) -> Self:
        if self.internal_port is not None and (self.internal_host, self.internal_port) == (
            self.host,
            self.port,
        ):
            raise ValueError("internal_port is the port of the external listener")
        for name in ("request_timeout", "export_timeout"):
            if getattr(self, name) <= timedelta(0):
                raise ValueError(f"{name} must be longer than nothing")
        return self


class PluginSettings(BaseModel):
    """`[plugins.NAME]`: whether it is on, and settings that the plugin's own model validates."""

    model_config = ConfigDict(extra="allow", frozen=True)

    enabled: StrictBool = True

    @property
    def settings(self) -> dict[str, Any]:
        """What the plugin is given: all keys but `enabled`."""
        return dict(self.model_extra or {})


def secret(value: str, *, key: str) -> str:
    """Resolve `env:NAME` to the value of the environment variable NAME; other texts are returned as they are.

    `key` is where the text stands in the registry. Raises `ConfigurationError` when the variable is not set.
    """
    if not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    if name not in os.environ:
        raise ConfigurationError(
            f"{key} of the registry comes from the environment variable {name}, which is not set",
            hint=f"export {name}=…",
        )
    return os.environ[name]
