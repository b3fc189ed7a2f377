"""From a container's record to its OCI bundle: config.json and the files of /etc."""
