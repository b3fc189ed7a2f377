"""An OCI bundle in, a process out. Knows no images and no names."""
