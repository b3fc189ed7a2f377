"""Go's text/template and fmt, for --format."""
