"""The verbs that concern the whole engine or any object."""
