"""The capstone: the learner's own `run`, a whole program, checked from the outside by its behaviour."""
