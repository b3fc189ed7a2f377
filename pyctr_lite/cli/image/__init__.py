"""The verbs that act on images."""
