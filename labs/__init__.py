"""The labs: a folder a chapter, whose functions a learner writes, and `kit`, which checks them."""
