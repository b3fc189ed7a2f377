"""The image store and the volume store of an engine: each change is recorded in the event log."""
