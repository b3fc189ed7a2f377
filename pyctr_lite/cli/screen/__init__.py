"""Terminal output and input: tables, progress bars, prompts, raw mode."""
