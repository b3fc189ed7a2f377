"""Run an OCI bundle as a process. Independent of images and container names."""
