"""The files of a container: mount, copy, export, commit."""
