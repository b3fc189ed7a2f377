"""Chapter 2, control groups: they limit a process's resources. Versions 1 and 2, and both at once (cgroups(7))."""
