"""A Dockerfile and its build context: the part of a build that needs no image and no container."""
