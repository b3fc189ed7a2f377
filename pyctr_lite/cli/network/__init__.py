"""The network verbs."""
