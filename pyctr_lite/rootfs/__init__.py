"""Chapter 3: the files a process finds. Layers, overlay mounts, pivot_root, /proc, /sys and /dev."""
