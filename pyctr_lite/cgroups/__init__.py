"""Chapter 2: what a process can use. Control groups, versions 1 and 2 and both at once (cgroups(7))."""
