"""The verbs of `pyctr-oci`: a module each, with OPTIONS, SUMMARY, WORDS and `act`."""
