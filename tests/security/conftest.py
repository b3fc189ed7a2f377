"""Fixtures that the security tests share with those of the runtime and of images."""

from tests.images.conftest import make_image, picture, store
from tests.runtime.conftest import box

__all__ = ["box", "make_image", "picture", "store"]
