"""The handler is set when the child runs: a signal that comes before leaves everything behind."""

CHECK = "terminated"
HINT = "From which of your lines on may it come?"
CHANGES = [
    (
        "        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])\n",
        "        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])\n",
    ),
    (
        "        terminated = signal.sigwait([signal.SIGTERM, signal.SIGCHLD]) == signal.SIGTERM\n"
        "        if terminated:\n"
        "            os.kill(pid, signal.SIGKILL)\n"
        "        _, status = os.waitpid(pid, 0)\n",
        "        terminated = False\n"
        "        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "        try:\n"
        "            _, status = os.waitpid(pid, 0)\n"
        "        except SystemExit:\n"
        "            os.kill(pid, signal.SIGKILL)\n"
        "            os.waitpid(pid, 0)\n"
        "            raise\n",
    ),
]
