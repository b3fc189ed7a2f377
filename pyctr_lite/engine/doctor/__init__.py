"""Examine the machine: what it can and cannot do for containers."""
