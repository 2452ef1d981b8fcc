"""The skeleton of a plugin: a distribution that installs, does something, and has tests that pass."""

from dotpeen.skeleton.write import write_skeleton

__all__ = ["write_skeleton"]
