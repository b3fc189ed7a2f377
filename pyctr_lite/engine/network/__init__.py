"""The networks that a container is connected to while it runs."""
