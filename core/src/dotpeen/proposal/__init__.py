"""Propose a registry for a database nobody has described yet: a guess with its reason for every value."""

from dotpeen.proposal.document import propose, render
from dotpeen.proposal.survey import LeftOut, Proposal, ProposedEntity, survey

__all__ = ["LeftOut", "Proposal", "ProposedEntity", "propose", "render", "survey"]
