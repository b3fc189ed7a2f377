"""Fixtures of the security tests: bundles without an engine, as the runtime's tests have them."""

from tests.runtime.conftest import box

__all__ = ["box"]
