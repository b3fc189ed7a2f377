"""The error of exec is nobody's: a traceback, and a status that means nothing."""

CHECK = "missing_command"
HINT = "In which process is the error of exec"
CHANGES = [
    (
        "        except (FileNotFoundError, NotADirectoryError) as error:\n"
        "            reason = error.strerror\n"
        "        except OSError as error:\n"
        '            return told(f"{name}: {error.strerror}", 126)\n'
        '    return told(f"{name}: {reason}", code)\n',
        "        except (FileNotFoundError, NotADirectoryError):\n"
        "            continue\n"
        "    raise FileNotFoundError(name)\n",
    ),
]
