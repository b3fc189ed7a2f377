"""The commands behind the Makefile's targets, one module each."""
