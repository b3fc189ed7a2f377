#!/bin/sh
# Bring this machine and this checkout to the state that the Makefile's targets need, in the steps given as arguments:
#
#   make/setup.sh [--quiet] STEP…      steps: root · packages GROUP · venv · extra NAME · launcher · links · manual · image · lxcfs
#
# Each step acts only on what is missing, so a second run takes a fraction of a second.
set -eu
umask 022 # every user of this machine may use what is installed
cd "$(dirname "$0")/.."
checkout=$PWD
venv=$checkout/.venv
launcher=$venv/bin/pyctr_lite
run=/run/pyctr_lite
line_break='
'
export PYTHONUTF8=1 # paths and texts are UTF-8, even if the locale is C or is not installed

say() { printf '[setup] %s\n' "$*" >&2; }
fail() {
    printf '[setup] error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '[setup]        %s\n' "$2" >&2
    exit 1
}
need_root() { [ "$(id -u)" = 0 ] || fail "$1 needs root" "run: sudo make ${MAKE_TARGET:-setup}"; }

need_writable() {
    [ -w "$checkout" ] || fail "$1, and this checkout can only be read" "copy the checkout to a directory that you can write to"
}

step_root() { need_root "this target"; }

step_packages() {
    # shellcheck disable=SC2046
    set -- $(awk -v group="$1" '$1 == group { print $2 }' make/packages)
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    missing=
    for package in "$@"; do
        printf '%s\n' "$installed" | grep -qx "$package installed" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "there is no apt-get: make setup supports Debian and Ubuntu" \
        "install the equivalents of:$missing"
    need_root "installing$missing"
    say "apt-get install$missing"
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq -o Acquire::Retries=3 </dev/null >&2 || say "apt-get update failed: trying with the old package lists"
    # shellcheck disable=SC2086
    if ! output=$(apt-get install -y -qq --no-install-recommends -o Acquire::Retries=3 $missing </dev/null 2>&1); then
        printf '%s\n' "$output" | tail -n 20 >&2
        fail "apt-get could not install:$missing"
    fi
    allow_services
}

# Tests and benchmarks only call the installed programs, so installing a package must not start its services.
forbid_services() {
    [ -e /usr/sbin/policy-rc.d ] && return 0
    printf '#!/bin/sh\n# pyctr_lite make/setup.sh, for one run of apt-get\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap allow_services EXIT INT TERM
}
allow_services() {
    if grep -qs 'pyctr_lite make/setup.sh' /usr/sbin/policy-rc.d; then rm -f /usr/sbin/policy-rc.d; fi
}

# Print the interpreter: $PYTHON, else that of .venv, Debian's own, or python3 in PATH; 3.11 or newer.
choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- "$(sed -n 2p "$venv/stamp" 2>/dev/null || true)" /usr/bin/python3 python3
    fi
    for candidate in "$@"; do
        if [ -n "$candidate" ] && "$candidate" -IS -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer: tried ${PYTHON:-/usr/bin/python3, python3}" "choose one: make PYTHON=/path/to/python3"
}

# Print what .venv was made for. If the checkout moves, or Python or the dependencies change, .venv is made again.
stamp_of() { printf '%s\n' "$checkout" "$python" "$1" && sed -n "/^$1 = \[/,/^\]/p" pyproject.toml; }

# Python below .venv may have been replaced (3.11 by 3.12) or removed. stamp-python holds its version, the path of its
# module os, and the inode, size and time of both files: comparing them costs 3 ms. Python starts only if they differ.
is_same_python() {
    [ -x "$venv/bin/python" ] && [ -e "$venv/stamp-python" ] || return 1
    python_on_disk "$(head -n 2 "$venv/stamp-python")" | cmp -s - "$venv/stamp-python" && return 0
    version=$(python_version) && [ "${version%%"$line_break"*}" = "$(head -n 1 "$venv/stamp-python")" ] || return 1
    python_on_disk "$version" 2>/dev/null >"$venv/stamp-python" || true # an update of the same version
}
python_on_disk() { printf '%s\n' "$1" && stat -L -c '%d:%i %s %Y' "$venv/bin/python" "$(printf '%s\n' "$1" | sed -n 2p)" 2>/dev/null; }
python_version() {
    "$venv/bin/python" -IS 2>/dev/null - <<'PYTHON'
import os, sys
print(*sys.version_info[:2], sep=".", end=" ")
print(sys.implementation.cache_tag, sys.abiflags, getattr(sys.implementation, "_multiarch", ""))
print(os.__file__)
PYTHON
}

path_is_wrong() { fail "the path of this checkout $1, and Python cannot make a venv there" "move the checkout"; }

step_venv() {
    if [ -z "${PYTHON:-}" ] && is_same_python; then
        python=$(sed -n 2p "$venv/stamp" 2>/dev/null || true)
    else
        python=$(choose_python)
    fi
    if stamp_of dependencies | cmp -s - "$venv/stamp" && is_same_python; then return 0; fi
    need_writable ".venv must be made"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python has no venv module" "on Debian: apt-get install python3-venv"
    if [ -e "$venv/stamp-python" ] && ! is_same_python; then
        was=$(sed -n '1s/ .*//p' "$venv/stamp-python")
        say "Python $was of .venv has been replaced or removed: installing the packages of .venv again"
    fi
    case $checkout in *[:"$line_break"]*) path_is_wrong "contains a colon or a line break" ;; esac
    "$python" -IS -X utf8 -c 'import sys; sys.argv[1].encode()' "$checkout" 2>/dev/null || path_is_wrong "is not UTF-8"
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
    pip_install dependencies
    # The file is ASCII for every path, because Python before 3.12 reads it in the locale's encoding.
    "$venv/bin/python" -IS - "$checkout" "$venv"/lib/python3*/site-packages <<'PYTHON'
import os, sys
checkout, packages = map(os.fsencode, sys.argv[1:])
with open(packages + b"/pyctr_lite_checkout.pth", "w", encoding="ascii") as file:
    print(f"import os, sys; sys.path.append(os.fsdecode({checkout!r}))", file=file)
PYTHON
    python_on_disk "$(python_version)" >"$venv/stamp-python"
    stamp_of dependencies >"$venv/stamp"
}

step_extra() { # a group of pyproject's optional dependencies: dev, course
    stamp_of "$1" | cmp -s - "$venv/stamp-$1" && return 0
    need_writable ".venv lacks the packages that pyproject.toml lists as $1"
    say "installing the packages that pyproject.toml lists as $1"
    pip_install "$1"
    stamp_of "$1" >"$venv/stamp-$1"
}

pip_install() {
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || fail ".venv is damaged: its Python finds no pip" "rm -rf .venv, then repeat the command"
    "$venv/bin/python" - "$1" >"$venv/requirements" <<'PYTHON'
import sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print("\n".join(project["dependencies"] if sys.argv[1] == "dependencies" else project["optional-dependencies"][sys.argv[1]]))
PYTHON
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --retries 3 -r "$venv/requirements" </dev/null >&2 ||
        fail "pip could not install $(tr '\n' ' ' <"$venv/requirements")" "can this machine reach the package index?"
}

step_launcher() {
    if [ ! -e "$launcher" ] || [ ! -e "$venv/bin/pyctr-oci" ] || [ make/launcher.py -nt "$launcher" ]; then
        need_writable "the command in .venv is missing or old"
        for name in pyctr_lite pyctr-oci; do
            "$venv/bin/python" -ISXutf8 make/launcher.py "$venv/bin/python" "$checkout" "$name" >"$venv/bin/$name.new"
            chmod 755 "$venv/bin/$name.new"
            mv "$venv/bin/$name.new" "$venv/bin/$name"
        done
        ln -sf pyctr_lite "$venv/bin/pyctr"
    fi
    # Without the bytecode, start-up is slow, and a user without write permission cannot create it.
    if [ ! -e "$venv/stamp-bytecode" ] || [ ! -d pyctr_lite/__pycache__ ] || [ -n "$(find pyctr_lite -name '*.py' -newer "$venv/stamp-bytecode" -print -quit)" ]; then
        need_writable "the compiled modules are older than pyctr_lite"
        : >"$venv/stamp-bytecode.new"
        "$venv/bin/python" -m compileall -q pyctr_lite || fail "pyctr_lite does not compile"
        "$venv/bin/python" -IS -X no_debug_ranges -c 'import sys; sys.path.append(sys.argv[1])
from pyctr_lite import preload
preload.build(f"{sys.argv[1]}/.venv/preload/{sys.implementation.cache_tag}")' "$checkout" || fail "the quick verbs could not be put together"
        mv "$venv/stamp-bytecode.new" "$venv/stamp-bytecode"
    fi
}

step_links() {
    for name in pyctr_lite pyctr pyctr-oci; do
        link=/usr/local/bin/$name
        command=$launcher
        [ "$name" != pyctr-oci ] || command=$venv/bin/pyctr-oci
        target=$(readlink "$link" || true)
        [ "$target" = "$command" ] && continue
        case $target in
            "") [ ! -e "$link" ] || fail "$link exists and does not belong to pyctr_lite" "move it away, or use $command" ;;
            */.venv/bin/"${command##*/}") say "$link pointed to ${target%/.venv/bin/*} and now points to this checkout" ;;
            *) fail "$link exists and points to $target" "move it away, or use $command" ;;
        esac
        need_root "linking $link"
        ln -sfn "$command" "$link"
    done
}

# The manual page is made again if a module of the command line is newer than the page.
step_manual() {
    page=/usr/local/share/man/man1/pyctr_lite.1
    if [ -e "$page" ]; then
        [ -n "$(find pyctr_lite/cli -name '*.py' -newer "$page" | head -n 1)" ] || return 0
    fi
    need_root "writing $page"
    mkdir -p "${page%/*}"
    PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pyctr_lite.cli.command.manual >"$page.new" || fail "the manual page could not be made"
    mv "$page.new" "$page"
    ln -sfn pyctr_lite.1 "${page%/*}/pyctr.1"
}

step_image() {
    "$launcher" image inspect busybox:latest >/dev/null 2>&1 && return 0
    need_root "making the image busybox:latest"
    "$launcher" image bootstrap busybox >/dev/null || fail "the image busybox:latest could not be made"
    say "made the image busybox:latest from $(command -v busybox)"
}

step_lxcfs() {
    grep -q ' /var/lib/lxcfs fuse.lxcfs ' /proc/mounts && return 0
    if [ ! -c /dev/fuse ]; then
        say "lxcfs is not started because there is no /dev/fuse: run --lxcfs will fail"
        return 0
    fi
    need_root "starting lxcfs"
    if [ -d /run/systemd/system ]; then
        systemctl start lxcfs || say "lxcfs could not be started: see systemctl status lxcfs; run --lxcfs will fail"
        return 0
    fi
    mkdir -p "$run" /var/lib/lxcfs
    setsid lxcfs -p "$run/lxcfs.pid" /var/lib/lxcfs </dev/null >"$run/lxcfs.log" 2>&1 &
    tries=0
    until grep -q ' /var/lib/lxcfs fuse.lxcfs ' /proc/mounts; do
        tries=$((tries + 1))
        if [ $tries -gt 50 ] || ! kill -0 $! 2>/dev/null; then
            say "lxcfs could not be started: $(tail -n 1 "$run/lxcfs.log"); run --lxcfs will fail"
            return 0
        fi
        sleep 0.1
    done
    say "started lxcfs on /var/lib/lxcfs"
}

quiet=no
[ "${1:-}" != --quiet ] || { quiet=yes; shift; }
while [ $# -gt 0 ]; do
    case $1 in
        packages) step_packages "$2"; shift ;;
        extra) step_extra "$2"; shift ;;
        root | venv | launcher | links | manual | image | lxcfs) "step_$1" ;;
        *) fail "no such step: $1" ;;
    esac
    shift
done
[ $quiet = yes ] || say "everything is set up: try pyctr_lite run --rm busybox echo hello"
