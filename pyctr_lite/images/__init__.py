"""The image store: an OCI image layout, unpacked layers, and image archives."""
