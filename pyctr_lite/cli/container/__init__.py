"""The verbs that act on containers."""
