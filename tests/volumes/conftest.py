"""Fixtures for the tests of volumes."""

from tests.runtime.conftest import box

__all__ = ["box"]
