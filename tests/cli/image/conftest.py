"""Fixtures: a registry on this machine."""

from tests.registries.conftest import registry, repository  # noqa: F401
