COMPILER = BP_COMPILER.decode()
FLAGS = BP_FLAGS.decode()


cdef list kernels_here():
    """The kernels that this processor can run, as codes of bp_kernels, the widest first."""
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


# Between two times that threads wait for each other, each should have so much to do, in multiply-adds; and so much in
# all, or they are not woken.
THREAD_WORK = 1.5e6
WAKING_WORK = 4e6


def made_by_fork():
    """Whether fork() has made this process, and no exec() has followed: its parent may have had threads of OpenMP's.

    On Linux that is a flag (PF_FORKNOEXEC of proc_pid_stat(5)), in the seventh field after the name in parentheses.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            return bool(int(file.read().rpartition(b")")[2].split()[6]) & 0x40)
    except (OSError, ValueError, IndexError):
        return False


bp_begin_threads(made_by_fork())


def max_threads():
    """How many threads OpenMP would use; 1 without it, and in a child made by fork."""
    return bp_max_threads()
