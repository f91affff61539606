"""Processes that are started together and end together."""

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
import warnings


class ProcessException(Exception):
    """A process of :func:`start_processes` has failed.

    Attributes:
        msg: What is known of it.
        error_index: Its number among the processes.
        error_pid: Its process id.
    """

    def __init__(self, msg, error_index, error_pid):
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.error_pid = error_pid

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.error_pid)


class ProcessRaisedException(ProcessException):
    """... by an exception, whose traceback is in the message."""


class ProcessExitedException(ProcessException):
    """... by a signal or an exit code.

    Attributes:
        exit_code: As ``multiprocessing`` has it: negative for a signal.
        signal_name: As ``"SIGKILL"``, or None.
    """

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self):
        args = (self.msg, self.error_index, self.error_pid)
        return type(self), (*args, self.exit_code, self.signal_name)


def _run(fn, i, args, error_file):
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass  # sent by the parent, or to all alike
    except Exception:
        with open(error_file, "wb") as file:
            pickle.dump(traceback.format_exc(), file)
        sys.exit(1)


class ProcessContext:
    """The processes of :func:`start_processes` that was not to wait for them."""

    def __init__(self, processes, error_files):
        self.processes = processes
        self.error_files = error_files
        self.sentinels = {p.sentinel: i for i, p in enumerate(processes)}

    def pids(self):
        """The process ids, in their order."""
        return [int(process.pid) for process in self.processes]

    def join(self, timeout=None, grace_period=None):
        """Wait for one process at least to end.

        If one has failed the others are terminated.

        Args:
            timeout: Seconds to wait at most; None waits for as long as it takes.
            grace_period: Seconds that processes have to end once they are terminated,
                before they are killed.

        Returns:
            Whether all processes have ended.

        Raises:
            ProcessRaisedException: If one raised an exception.
            ProcessExitedException: If one ended by a signal or an exit code.
        """
        if not self.sentinels:
            return True
        ended = multiprocessing.connection.wait(self.sentinels.keys(), timeout=timeout)
        failed = None
        for sentinel in ended:
            index = self.sentinels.pop(sentinel)
            process = self.processes[index]
            process.join()
            if process.exitcode != 0 and failed is None:
                failed = index
        if failed is None:
            return not self.sentinels
        self._end(grace_period)
        self._raise(failed)

    def _end(self, grace_period):
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        until = None if grace_period is None else time.monotonic() + grace_period
        for process in self.processes:
            process.join(None if until is None else max(0, until - time.monotonic()))
        for process in self.processes:
            if process.is_alive():
                process.kill()
            process.join()

    def _raise(self, index):
        process = self.processes[index]
        code, pid = process.exitcode, process.pid
        if os.access(self.error_files[index], os.R_OK):
            with open(self.error_files[index], "rb") as file:
                text = pickle.load(file)
            raise ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error:\n{text}",
                error_index=index,
                error_pid=pid,
            )
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"<Unknown signal {-code}>"
            raise ProcessExitedException(
                f"process {index} terminated with signal {name}",
                error_index=index,
                error_pid=pid,
                exit_code=code,
                signal_name=name,
            )
        raise ProcessExitedException(
            f"process {index} terminated with exit code {code}",
            error_index=index,
            error_pid=pid,
            exit_code=code,
        )


class SpawnContext(ProcessContext):
    """What :func:`spawn` returns."""


def start_processes(
    fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"
):
    """Start ``nprocs`` processes that call ``fn(i, *args)``.

    Args:
        fn: A function that a process can import. ``i`` is the number of the process.
        args: What else it is called with. Tensors among it share their memory.
        nprocs: How many processes.
        join: Whether to wait until all have ended.
        daemon: Whether they end with this process.
        start_method: ``"spawn"``, ``"fork"`` or ``"forkserver"``.

    Returns:
        A :class:`ProcessContext` if ``join`` is false.

    Raises:
        ProcessRaisedException: If one raised an exception, with its traceback.
        ProcessExitedException: If one ended by a signal or an exit code.
    """
    context = multiprocessing.get_context(start_method)
    processes, error_files = [], []
    for i in range(nprocs):
        # Not there unless something goes wrong: then the process makes it.
        with tempfile.NamedTemporaryFile(prefix="flashlight-errors-") as file:
            error_file = file.name
        process = context.Process(
            target=_run, args=(fn, i, args, error_file), daemon=daemon
        )
        process.start()
        error_files.append(error_file)
        processes.append(process)
    running = SpawnContext(processes, error_files)
    if not join:
        return running
    while not running.join():
        pass


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """:func:`start_processes`, by Python's start method ``"spawn"``.

    Returns:
        A :class:`SpawnContext` if ``join`` is false.

    Raises:
        ProcessRaisedException: If one raised an exception, with its traceback.
        ProcessExitedException: If one ended by a signal or an exit code.
    """
    if start_method != "spawn":
        warnings.warn(
            f"This method only supports start_method=spawn (got: {start_method}).\n"
            "To use a different start_method use:\n"
            "\t\t torch.multiprocessing.start_processes(...)",
            FutureWarning,
            stacklevel=2,
        )
    return start_processes(fn, args, nprocs, join, daemon, start_method="spawn")
