"""Chapter 3, the root file system of a process: layers, overlay mounts, pivot_root, /proc, /sys and /dev."""
