"""Create a container from an image and options."""
