"""The grammar of a command line: flags, verbs, help, completion, error reports."""
