"""Chapter 4, files that outlive a container: bind mounts, named and anonymous volumes, tmpfs."""
