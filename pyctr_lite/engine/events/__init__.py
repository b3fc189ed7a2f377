"""The event log: its writer, its reader, and the inotify watch with which commands wait for changes."""
