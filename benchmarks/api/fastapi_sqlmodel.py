"""FastAPI and SQLModel as their tutorials put them together: a session per request, a response model, `def`."""
# ruff: noqa: N815

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from sqlmodel import Field, Session, SQLModel, create_engine, select

engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"))
app = FastAPI()


class PartPublic(SQLModel):
    persistentUuid: UUID = Field(unique=True)
    partNumber: str = Field(unique=True)
    description: str | None = None
    materialType: str | None = None
    status: str = "ACTIVE"
    createdAt: datetime
    updatedAt: datetime


class Part(PartPublic, table=True):
    __tablename__ = "Part"

    id: str = Field(primary_key=True)


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@app.get("/api/v1/external/parts/{uuid}", response_model=PartPublic)
def read_part(uuid: UUID, session: Annotated[Session, Depends(get_session)]) -> Part:
    part = session.exec(select(Part).where(Part.persistentUuid == uuid)).first()
    if part is None:
        raise HTTPException(status_code=404, detail="Part not found")
    return part
