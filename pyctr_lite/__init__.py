"""pyctr_lite: a container engine in Python that is also the lab kit which teaches how it is built.

The five chapters are packages of their own: `namespaces`, `cgroups`, `rootfs`, `volumes`, `commit`.
`runtime` runs an OCI bundle with them, `images` keeps the images, `engine` has Docker's nouns, `cli` its verbs.
"""

__version__ = "0.1.0"
