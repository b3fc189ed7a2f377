"""The grammar of the command line: flags, verbs, help, completion, output and error reports."""
