"""The checks: how one reports, how a session of them runs in the sandbox, and the notebooks as checks."""
