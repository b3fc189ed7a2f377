"""The filters of `ps`, `images`, `volume ls`, `events` and of the prunes."""
