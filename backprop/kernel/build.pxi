# Compiler, flags and instruction set of this build, and the threads of this process.

COMPILER = BP_COMPILER.decode()
FLAGS = BP_FLAGS.decode()


cdef list kernels_here():
    """Indices in bp_kernels of the instruction sets that this processor has, the widest first."""
    cdef Py_ssize_t k = 0
    found = []
    while bp_kernels[k] != NULL:
        if bp_runs_here(bp_kernels[k]):
            found.append(k)
        k += 1
    return found


cdef list codes = kernels_here()
TARGETS = tuple([bp_kernels[<Py_ssize_t>code].name.decode() for code in codes])
TARGET = os.environ.get("BACKPROP_TARGET") or TARGETS[0]
if TARGET not in TARGETS:
    raise ImportError(f"BACKPROP_TARGET is {TARGET!r}; this machine has: {', '.join(TARGETS)}")
cdef const bp_kernel *kernel = bp_kernels[<Py_ssize_t>codes[TARGETS.index(TARGET)]]


def made_by_fork():
    """Whether fork() made this process and no exec() followed, so that its parent may have had OpenMP threads.

    Linux says so by the flag PF_FORKNOEXEC in /proc/self/stat, the seventh field after the name in parentheses
    (proc_pid_stat(5)). Elsewhere: False.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            return bool(int(file.read().rpartition(b")")[2].split()[6]) & 0x40)
    except (OSError, ValueError, IndexError):
        return False


bp_begin_threads(made_by_fork())


def max_threads():
    """Number of threads OpenMP would use: 1 without OpenMP, and in a child made by fork()."""
    return bp_max_threads()
