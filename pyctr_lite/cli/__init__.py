"""The command line: Docker's verbs, on top of the engine."""
