"""Podman, Docker and containerd with directories of their own, on a given OCI runtime."""
