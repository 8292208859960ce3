"""Ending with the parent: a process that is not left behind, even if its parent is killed."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

# Loaded here, before any fork: after a fork, a lock that another thread held would stay locked.
prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
if prctl is not None:
    prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def end_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send this process the signal `number` when its parent dies; only Linux can.

    Linux counts the parent as dead when the thread that forked has ended. A change of user undoes the request.

    Args:
        parent: The process id of the parent. If it has died already, this process ends at once.
        number: The signal to send.
    """
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
