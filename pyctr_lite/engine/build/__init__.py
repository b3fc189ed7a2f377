"""Build an image from a Dockerfile: stages, steps, the cache of their layers, and what becomes of the result."""
