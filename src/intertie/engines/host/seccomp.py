"""A seccomp deny list for jobs, packed by hand: no new namespaces, mounts, modules or tracing.

A classic BPF program as bubblewrap reads it from a file. Denied calls fail with EPERM; `clone3`
fails with ENOSYS, so that libraries fall back to `clone`, whose flags a filter can read.
"""

import errno
import platform
import struct

ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
CLONE_NEW_ANY = 0x7E020000  # every namespace flag: user, pid, net, mount, ipc, uts, cgroup
X32_BIT = 0x40000000
# mount umount2 pivot_root unshare setns ptrace process_vm_readv process_vm_writev kexec_load
# kexec_file_load init_module finit_module delete_module bpf perf_event_open keyctl add_key
# request_key userfaultfd reboot swapon swapoff open_by_handle_at acct quotactl settimeofday
# clock_settime adjtimex io_uring_setup; on x86 also iopl and ioperm.
DENIED = {
    "x86_64": (
        *(165, 166, 155, 272, 308, 101, 310, 311, 246, 320, 175, 313, 176, 321, 298, 250, 248),
        *(249, 323, 169, 167, 168, 304, 163, 179, 164, 227, 159, 425, 172, 173),
    ),
    "aarch64": (
        *(40, 39, 41, 97, 268, 117, 270, 271, 104, 294, 105, 273, 106, 280, 241, 219, 217),
        *(218, 282, 142, 224, 225, 265, 89, 60, 170, 112, 171, 425),
    ),
}
NEW_MOUNT_API = (428, 429, 430, 431, 432, 433, 442)  # the same on every architecture

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def program() -> bytes:
    """Return the filter for this machine, or nothing where the numbers are not known."""
    machine = platform.machine()
    if machine not in ARCHES:
        return b""
    denied = sorted((*DENIED[machine], *NEW_MOUNT_API))
    rows = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, ARCHES[machine]), _fail(errno.EPERM)]
    rows += [(LOAD, 0, 0, 0), (AT_LEAST, 0, 1, X32_BIT), _fail(errno.EPERM)]
    rows += [(EQUAL, 0, 1, CLONE3), _fail(errno.ENOSYS)]
    for number in denied:
        rows += [(EQUAL, 0, 1, number), _fail(errno.EPERM)]
    rows += [(EQUAL, 0, 3, CLONE[machine]), (LOAD, 0, 0, 16)]
    rows += [(ANY_BIT, 0, 1, CLONE_NEW_ANY), _fail(errno.EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("<HBBI", *row) for row in rows)


def _fail(number: int) -> tuple[int, int, int, int]:
    return (RETURN, 0, 0, ERRNO | number)
