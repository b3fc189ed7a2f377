"""A container engine in Python, and the lab kit that teaches how it is built.

Each of the five chapters is a package: `namespaces`, `cgroups`, `rootfs`, `volumes`, `commit`.
`runtime` uses them to run an OCI bundle, `images` stores images, `engine` has Docker's nouns, `cli` its verbs.
"""

__version__ = "0.1.0"
