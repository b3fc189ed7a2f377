"""Text formats that every room shares: sizes, durations, timestamps, numbers, signals."""
