"""Registries: the client's side of the OCI distribution specification. Only the verbs that need it import it."""
