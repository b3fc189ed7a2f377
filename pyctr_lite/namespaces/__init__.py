"""Chapter 1: what a process can see. All eight kinds (namespaces(7)): create, join, map ids."""
