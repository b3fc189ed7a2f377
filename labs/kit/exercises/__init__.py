"""The exercises as data: their manifest, the learner's files, and the swap that puts them into the engine."""
