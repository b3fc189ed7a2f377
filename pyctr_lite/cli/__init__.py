"""Docker's verbs over the engine's API."""
