"""The event log: writer, reader and the inotify watch that both wait with."""
