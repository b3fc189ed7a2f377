"""Docker's nouns: containers, names, logs, monitors. Makes the bundle from an image and options."""
