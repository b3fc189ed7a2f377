#!/bin/sh
# Prints the command `pyctr_lite` for one checkout and one Python: make/launcher.sh PYTHON CHECKOUT
#
# It starts Python with -I (nothing of the caller's environment or directory is imported) and -S (without the
# site module, which costs 4 to 6 ms; what needs third-party packages calls pyctr_lite.thirdparty.enable()).
# The checkout comes last on sys.path, so that nothing in it can stand in for a module of Python's own.
set -eu
python=$1
checkout=$2

interpreter="$python -IS"
case $interpreter in
    *" "*" "* | *"	"*) direct=no ;;                  # the kernel splits the line at the first blank
    *) if [ ${#interpreter} -lt 125 ]; then direct=yes; else direct=no; fi ;;  # its limit was 127 before 5.1
esac

if [ $direct = yes ]; then
    echo "#!$interpreter"
else
    # A shell reads an empty word joined to 'exec'; Python reads one string from ''' to '''.
    quoted=$(printf %s "$python" | sed 's/[\\"$`]/\\&/g')
    printf '%s\n' "#!/bin/sh" "'''exec' \"$quoted\" -IS \"\$0\" \"\$@\"" "' '''"
fi
escaped=$(printf %s "$checkout" | sed 's/[\\"]/\\&/g')
cat <<LAUNCHER
import sys

sys.path.append("$escaped")

from pyctr_lite.preload import load

load("$escaped/.venv/preload", sys.argv)

from pyctr_lite.cli.main import entry

entry()
LAUNCHER
