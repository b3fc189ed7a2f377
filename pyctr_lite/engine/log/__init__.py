"""The log of a container's output."""
