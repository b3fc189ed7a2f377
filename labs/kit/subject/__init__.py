"""What runs inside the arena: a learner's functions in processes of their own, and the wire to the judge outside."""
