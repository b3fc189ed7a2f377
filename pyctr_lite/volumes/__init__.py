"""Chapter 4: files that outlive a container. Binds, named and anonymous volumes, tmpfs."""
