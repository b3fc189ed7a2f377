"""Read-only views: inspect, top, disk usage, reverse lookups."""
