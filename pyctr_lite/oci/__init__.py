"""The OCI runtime's command line, which podman, containerd, Docker and Kubernetes call: `pyctr-oci`."""
