"""Chapter 7: networks. Links, addresses and routes by netlink, and rules by nf_tables."""

DEFAULT = "bridge"
"""The network of containers that do not name one."""
