"""Ending with the parent: no process is left behind, even if its parent is killed."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None)  # Loaded before any fork, because after it another thread's lock would stay locked.


def end_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send this process the signal `number` when the process `parent` dies; only Linux can.

    Linux counts the parent as dead when the thread that started this process has ended. A change of user undoes it.
    """
    if sys.platform == "linux":
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)  # It died before the kernel was asked.


def prctl(option: int, *arguments: int) -> None:
    """Change an attribute of this process; only Linux has this call."""
    _libc.prctl(option, *map(ctypes.c_ulong, (*arguments, 0, 0, 0, 0)[:4]))
