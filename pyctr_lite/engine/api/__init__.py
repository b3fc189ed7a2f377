"""The Python API: a client and the helper process that it drives."""
