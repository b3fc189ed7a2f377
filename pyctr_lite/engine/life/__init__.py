"""The life of a container: start, run, supervise, stop, restart, remove."""
