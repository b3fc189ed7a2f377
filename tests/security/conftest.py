"""Fixtures of the security tests: bundles without an engine, and stores of images, as the other rooms have them."""

from tests.images.conftest import make_image, picture, store
from tests.runtime.conftest import box

__all__ = ["box", "make_image", "picture", "store"]
