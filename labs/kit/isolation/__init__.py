"""Isolation of untrusted code: a sandbox for its processes, and private directories for its files."""
