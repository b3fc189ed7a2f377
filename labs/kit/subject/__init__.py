"""Inside the arena: a learner's functions, each in a process, and the wire to the judge outside."""
