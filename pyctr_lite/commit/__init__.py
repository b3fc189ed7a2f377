"""Chapter 5: a container's changes become an image's next layer."""
