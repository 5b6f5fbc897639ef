# shellcheck shell=bash
# What the stages share; a stage begins with `. "$(dirname "$0")/../lib.sh"`. It then stands in the root of the
# repository, and has a folder of its own, $here, that is empty.
#
# $work is where environments and builds are kept, so that one stage can use what another has made: the folder that
# BACKPROP_CI_WORK names, or .ci/work. What was made from other files than git tracks now is made anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
stage=$(basename "$0")
work=${BACKPROP_CI_WORK:-$root/.ci/work}
here=$work/$stage
rm -rf "$here"
mkdir -p "$here"
TMPDIR=$(mktemp -d)
trap 'rm -rf "$TMPDIR"' EXIT
export TMPDIR
export CI=true PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONDONTWRITEBYTECODE=1
export CI_STARTED=${CI_STARTED:-$(date +%s)}
exec </dev/null

section() {
    local seconds=$(($(date +%s) - CI_STARTED))
    printf '\n=== %s (%d:%02d)\n' "$1" $((seconds / 60)) $((seconds % 60))
}

# Print a command, then run it.
run() {
    printf '+ %s\n' "$*"
    "$@"
}

# Print a command line, then have a shell run it.
run_line() {
    printf '+ %s\n' "$1"
    bash -euo pipefail -c "$1"
}

# Run a function while no other stage runs one under the same name.
alone() {
    local name=$1
    shift
    exec 9>"$work/$name.lock"
    flock 9
    "$@" 9>&-
    exec 9>&-
}

# ---- what the machine must have ----

# Each tool that a stage may ask for, and Debian's package that has it; a tool that is no command has a function below.
declare -A package=(
    [gcc]=gcc
    [headers]=libc6-dev
    [nm]=binutils
    [clang]=clang
    [x86_64-w64-mingw32-gcc]=gcc-mingw-w64-x86-64
    [aarch64-linux-gnu-gcc]=gcc-aarch64-linux-gnu
    [aarch64-headers]=libc6-dev-arm64-cross
    [s390x-linux-gnu-gcc]=gcc-s390x-linux-gnu
    [s390x-headers]=libc6-dev-s390x-cross
    [qemu-aarch64-static]=qemu-user-static
    [valgrind]=valgrind
    [archer]=libomp-dev
    [tsan]=libclang-rt-dev
    [git]=git
    [debootstrap]=debootstrap
    [shellcheck]=shellcheck
    [python3]=python3
    [python3-venv]=python3-venv
    [python3-dev]=python3-dev
)

has_headers() { "$1" -c 'import os, sysconfig as s; exit(not os.path.exists(s.get_path("include") + "/Python.h"))'; }

has() {
    case $1 in
    headers) [ -e /usr/include/stdio.h ] ;;
    aarch64-headers) [ -e /usr/aarch64-linux-gnu/include/stdio.h ] ;;
    s390x-headers) [ -e /usr/s390x-linux-gnu/include/stdio.h ] ;;
    archer) compgen -G '/usr/lib/llvm-*/lib/libarcher.so' >/dev/null ;;
    tsan) compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.tsan-*.a' >/dev/null ;;
    python3-venv) [ ! -e /etc/debian_version ] || python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    python3-dev) [ ! -e /etc/debian_version ] || has_headers python3 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# Install what is missing of these tools, which takes root, or fail.
need() {
    alone machine install_missing "$@"
}

install_missing() {
    local tool missing=()
    for tool in "$@"; do
        has "$tool" || missing+=("${package[$tool]}")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        run apt-get update -q
        run env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
    fi
}

need_python() {
    need gcc headers git python3 python3-venv python3-dev
    run python3 -c 'import sys; print(sys.version); exit(sys.version_info < (3, 11))'
}

# The path of python3.X, from PATH or pyenv, if it can compile and make environments.
find_python() {
    local candidate
    for candidate in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$candidate" -c "import sys, ensurepip, venv; exit('%d.%d' % sys.version_info[:2] != '$1')" &&
            has_headers "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done 2>/dev/null
}

# ---- copies, environments, builds ----

# The tracked files, or those of them that are named.
tracked() { git -c safe.directory="$root" -C "$root" ls-files "$@"; }

# A digest of these files as they are now.
fingerprint() { (cd "$root" && tracked "$@" | xargs -d '\n' sha256sum) | sha256sum; }

# The tracked files, and nothing else, in this folder.
copy_to() {
    run rm -rf "$1"
    run mkdir -p "$1"
    (cd "$root" && tracked | xargs -d '\n' cp --parents -t "$1")
}

# Run a function, unless it has made this folder before, from a file or a folder (.) of the repository as it is now.
make_once() {
    local folder=$1 source=$2
    shift 2
    if [ "$(cat "$folder.made" 2>/dev/null)" != "$(fingerprint "$source")" ]; then
        rm -f "$folder.made"
        "$@"
        fingerprint "$source" >"$folder.made"
    fi
}

# What these extras of pyproject.toml ask for, or `build`: what a build does; without the project itself.
install_for() {
    python - "$@" >"$here/requires-$1" <<'REQUIRES'
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    table = tomllib.load(file)
for name in sys.argv[1:]:
    asked = table["build-system"]["requires"] if name == "build" else table["project"]["optional-dependencies"][name]
    print(*asked, sep="\n")
REQUIRES
    run pip install -q -r "$here/requires-$1"
}

make_environment() {
    section "An environment with all tools"
    run rm -rf "$work/env" "$work/copy.made"
    run python3 -m venv "$work/env"
    PATH=$work/env/bin:$PATH install_for build bench fuzz lint test
}

make_copy() {
    section "A copy of the repository, built in that environment"
    copy_to "$work/copy"
    run "$work/env/bin/pip" install -q --no-build-isolation --no-deps -e "$work/copy"
}

environment_and_copy() {
    make_once "$work/env" pyproject.toml make_environment
    make_once "$work/copy" . make_copy
}

# Go on in a copy of the repository, with an environment in which it is built and which has all tools.
use_environment() {
    need_python
    alone environment environment_and_copy
    run cd "$work/copy"
    run export PATH="$work/env/bin:$PATH"
}

make_distribution() {
    section "The sdist and the wheel"
    copy_to "$here/source"
    run rm -rf "$work/dist"
    run python -m build --outdir "$work/dist" "$here/source"
}

# $work/dist has the sdist and the wheel; the environment must be in use.
use_distribution() {
    alone distribution make_once "$work/dist" . make_distribution
}

# Environments with a wheel made from the sdist: their name, and which NumPy and others they ask for.
declare -A wheel_environment=(
    [oldest-3.11]="numpy==1.24.* scipy==1.10.* scikit-learn==1.3.* pandas==2.0.*"
    [newest-3.12]=""
    [newest-3.13]=""
)

make_wheel_environment() {
    local name=$1 folder=$work/wheel-$1 version=${1#*-} python asked
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        echo "there is no Python $version on this machine (on PATH or under pyenv), and the wheel must be tested with it"
        exit 1
    fi
    read -ra asked <<<"${wheel_environment[$name]}"
    run rm -rf "$folder"
    run "$python" -m venv "$folder"
    run "$folder/bin/pip" wheel -q --no-deps --wheel-dir "$folder" "$work"/dist/*.tar.gz
    run "$folder/bin/pip" install -q "$(echo "$folder"/*.whl)[test]" "${asked[@]}"
}

# $work/wheel-NAME is an environment with the wheel; the distribution must be in use.
use_wheel_environment() {
    alone "wheel-$1" make_once "$work/wheel-$1" . make_wheel_environment "$1"
}
