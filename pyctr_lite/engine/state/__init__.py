"""Data at the bottom of the engine: options, records, names, locks, paths."""
