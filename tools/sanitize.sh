#!/usr/bin/env bash
# The tests on a kernel that is built with sanitizers, in a folder of its own: tools/sanitize.sh address|thread [PYTHON]
#
# address: AddressSanitizer, UndefinedBehaviorSanitizer and Cython's checks, by gcc: the tests that reach the kernel.
# thread:  ThreadSanitizer, by clang with its own OpenMP runtime: the tests of threads, and the parity tests with three.
#
# Every report is printed in the end, also those of subprocesses, and makes the status 1. PYTHON has what the extra
# `test` asks for; python3 if none is given. Nothing is suppressed.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-}
python=$(realpath -s "$(command -v "${2:-python3}")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() {
    printf '+ %s\n' "$*"
    "$@"
}

reports=$work/report
case $kind in
address)
    compiler=gcc
    flags="-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all"
    # Python and NumPy keep memory until the end and leave it to the system, so leaks are not looked for.
    # detect_stack_use_after_return stays off: with it gcc 12 puts variables of 64 bytes where AVX-512 cannot store
    # them (gcc's bug 110027).
    export ASAN_OPTIONS=detect_leaks=0:log_path=$reports
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:log_path=$reports
    ;;
thread)
    compiler=clang
    flags="-fsanitize=thread"
    # Python, NumPy and libomp are not built with ThreadSanitizer, which would see their accesses to memory and not what
    # orders these. Archer tells it what OpenMP orders; without it the end of a parallel region is taken for no order.
    export TSAN_OPTIONS=ignore_noninstrumented_modules=1:log_path=$reports
    OMP_TOOL_LIBRARIES=$(clang -print-resource-dir)/../../libarcher.so
    export OMP_TOOL_LIBRARIES
    run test -e "$OMP_TOOL_LIBRARIES"
    ;;
*)
    echo "usage: tools/sanitize.sh address|thread [PYTHON]"
    exit 2
    ;;
esac

run cp -r backprop src_c tests tools docs benchmarks setup.py pyproject.toml README.md CHANGELOG.md LICENSE "$work"
run cd "$work"
run rm -f backprop/_kernel.*.so backprop/_kernel.c
run env BACKPROP_CHECKS=1 CC=$compiler CFLAGS="$flags" LDFLAGS="$flags" \
    "$python" -m pip install -q --no-deps --target built .
run cp built/backprop/_kernel.*.so backprop

# Where a function without the GIL fails one of Cython's checks, it can only print that. Here it ends the process, also
# where it is a subprocess of a test.
run mkdir hook
cat >hook/sitecustomize.py <<'HOOK'
import os
import sys


def unraisable(raised):
    sys.__unraisablehook__(raised)
    sys.stderr.flush()
    os._exit(99)


sys.unraisablehook = unraisable
HOOK
export PYTHONPATH=$work:$work/hook

case $kind in
address)
    checked=(env LD_PRELOAD="$(gcc -print-file-name=libasan.so)" "$python")
    ;;
thread)
    # Debian's clang 14 has a ThreadSanitizer that cannot be preloaded, so this is a Python that is linked with it. Its
    # first thread makes the sanitizer start one of its own, before a test counts them.
    cat >launcher.c <<'LAUNCHER'
#include <pthread.h>
int Py_BytesMain(int argc, char **argv);
static void *nothing(void *argument) { return argument; }
int main(int argc, char **argv) {
    pthread_t thread;
    pthread_create(&thread, 0, nothing, 0);
    pthread_join(thread, 0);
    return Py_BytesMain(argc, argv);
}
LAUNCHER
    run "$python" -m venv --without-pip venv
    run rm venv/bin/python*
    config() { "$python" -c "import sysconfig; print(sysconfig.get_config_var('$1'))"; }
    run clang $flags launcher.c -o venv/bin/python "-L$(config LIBDIR)" "-Wl,-rpath,$(config LIBDIR)" \
        "-lpython$(config LDVERSION)"
    PYTHONPATH+=:$("$python" -c "import sysconfig; print(sysconfig.get_path('platlib'))")
    checked=("$work/venv/bin/python")
    ;;
esac
# UndefinedBehaviorSanitizer writes to the standard error, which must not vanish with the process.
tests() { run "${checked[@]}" -m pytest -q -p no:cacheprovider --capture=sys "$@"; }

run "${checked[@]}" -c 'import backprop; print(backprop.__file__, backprop._kernel.COMPILER, backprop._kernel.FLAGS)'
status=0
case $kind in
address)
    # Two conditions of hostile processes and a test of threads are left to the usual builds: they leave a process just
    # the memory, or its workers just the stacks, that it needs, and the sanitizer needs a multiple of both.
    left_out=()
    for condition in little_memory small_stacks_of_workers; do
        left_out+=(--deselect "tests/test_hostile.py::test_condition[$condition]")
    done
    # The estimators, files, messages and the examples of the documents reach the kernel by what the other tests call,
    # and take long. So do the stored problems on the instruction sets that are not the default, whose functions
    # tools/compare_kernels.c calls. What is asked of the definition alone does not reach the kernel, and the sanitizer's
    # own memory is not what the tests of memory count.
    left_out+=(--deselect tests/test_expected.py::test_every_instruction_set)
    for name in tests/test_{estimators,messages}*.py tests/test_{checkpoint,docs,files,memory,memory_of_rows,pickles,process}.py; do
        left_out+=(--ignore "$name")
    done
    left_out+=(-k "not reference- and not room_for_the_stacks")
    tests "${left_out[@]}" || status=1
    ;;
thread)
    tests tests/test_threads.py -k 'not room_for_the_stacks' || status=1
    tests tests/test_blocks.py -k 'take_blocks or every_number' || status=1
    run export OMP_NUM_THREADS=3 THREADS_FOR_SMALL_WORK=1
    tests tests/test_parity.py || status=1
    ;;
esac
for report in "$reports"*; do
    if [ -e "$report" ]; then
        cat "$report"
        status=1
    fi
done
exit $status
