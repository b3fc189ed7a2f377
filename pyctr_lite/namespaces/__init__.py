"""Chapter 1, namespaces: they limit a process's view of the system (namespaces(7)). Create, join, map ids."""
