"""What a host may have set in the processor's floating-point unit, through the C library: for tests in own processes.

Modes: upward, downward and toward_zero round so; flush takes subnormal numbers for 0, operands and results; traps
unmasks overflow, division by zero and invalid operations; plain changes nothing.
"""

import contextlib
import ctypes
import ctypes.util
import platform
import struct

MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
SYSTEM = platform.system()
ROUNDING = ("upward", "downward", "toward_zero")

# Bits to clear and to set in the control word, and where that lies in fenv_t.
if SYSTEM == "Windows":
    crt = ctypes.CDLL("ucrtbase")
    MODES = {
        "plain": (0, 0),
        "upward": (0x300, 0x200),
        "downward": (0x300, 0x100),
        "toward_zero": (0x300, 0x300),
        "flush": (0x03000000, 0x01000000),
        "traps": (0x1E, 0),
    }
else:
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    OFFSET = {
        ("Linux", "x86_64"): 28,
        ("Darwin", "x86_64"): 4,
        ("Linux", "aarch64"): 0,
        ("Darwin", "aarch64"): 8,
    }[SYSTEM, MACHINE]
    if MACHINE == "x86_64":
        MODES = {
            "plain": (0, 0),
            "upward": (0x6000, 0x4000),
            "downward": (0x6000, 0x2000),
            "toward_zero": (0x6000, 0x6000),
            "flush": (0, 0x8040),
            "traps": (0xE80, 0),
        }
        STICKY = 0x3F  # flags that arithmetic leaves behind
    else:
        MODES = {
            "plain": (0, 0),
            "upward": (3 << 22, 1 << 22),
            "downward": (3 << 22, 2 << 22),
            "toward_zero": (3 << 22, 3 << 22),
            "flush": (0, 1 << 24),
            "traps": (0, 0xF00),
        }
        STICKY = 0

one, small, tiny = float("1.0"), float("1e-30"), float("5e-324")


def felt(mode):
    """What Python's own arithmetic feels of the mode; under traps it must not feel."""
    return [] if mode == "traps" else [one + small > one, one - small < one, tiny + tiny == 0.0]


def environment():
    buffer = ctypes.create_string_buffer(256)
    libm.fegetenv(buffer)
    return buffer


def control():
    """The control word of this thread."""
    if SYSTEM == "Windows":
        return crt._controlfp(0, 0)
    return struct.unpack_from("<I", environment(), OFFSET)[0] & ~STICKY


def set_control(word):
    """Put back what control() returned."""
    if SYSTEM == "Windows":
        crt._controlfp(word, 0xFFFFFFFF)
        return
    buffer = environment()
    struct.pack_into("<I", buffer, OFFSET, word)
    libm.fesetenv(buffer)


def set_mode(mode):
    clear, set_ = MODES[mode]
    if SYSTEM == "Windows":
        crt._controlfp(set_, clear | set_)
    else:
        set_control(control() & ~clear | set_)


@contextlib.contextmanager
def host_mode(mode):
    """The mode is in force in the block, at whose end it must still be."""
    before = control()
    set_mode(mode)
    during = control()
    try:
        yield
        after = control()
    finally:
        set_control(before)
    if after != during:
        raise AssertionError(f"the control word was {during:#x} and became {after:#x}")
