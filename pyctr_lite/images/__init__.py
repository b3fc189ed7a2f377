"""The image store: an OCI image layout, its layers unpacked, and the archives that go in and out."""
