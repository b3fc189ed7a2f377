"""One container on disk, and all containers of an engine."""
