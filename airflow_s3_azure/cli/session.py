"""Runs a command: the process's context in Airflow, the log, Ctrl-C, and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import unwrap
from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from rich.console import Console

from airflow_s3_azure.cli.command_log import log_to
from airflow_s3_azure.cli.command_task import CommandTask
from airflow_s3_azure.cli.locations import Destination
from airflow_s3_azure.cli.progress_bar import ProgressBar
from airflow_s3_azure.engine.errors import ConfigurationError, S3ToAzureError, class_name, runbook_url
from airflow_s3_azure.operators.arguments import read_argument
from airflow_s3_azure.operators.connected import CancellableOperator

FAILED, USAGE, STOPPED = 1, 2, 130
"""Exit codes; that of a command that is done is 0."""


class Session:
    """One command: where its messages go, and what Ctrl-C cancels.

    :ivar messages: the console for progress and errors; the result goes to standard output
    :ivar after_failure: what the same command does after one that a retry can help
    """

    after_failure = "The same command starts again."

    def __init__(self) -> None:
        self.messages = Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)
        self.is_stopped = False
        self.cancel: Callable[[str], bool] | None = None

    def execute(self, operator: CancellableOperator, task: CommandTask, title: str = "") -> Any:
        """Return what the operator returns, as Airflow's task runner calls it.

        :param title: of work that does not count bytes; empty: it does
        """
        # Airflow wraps the method with a warning that it is called outside of its task runner.
        execute = unwrap(type(operator).execute)
        self.cancel = operator.cancel
        with ProgressBar(self.messages, title) as progress:
            return execute(operator, task.context(task_state_store=progress))

    def stop(self, *_: object) -> None:
        """Cancel the work, as a signal handler. The next Ctrl-C ends the process at once."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.is_stopped = True
        if self.cancel is None or not self.cancel("Ctrl-C was pressed"):
            raise KeyboardInterrupt

    def fail(self, error: S3ToAzureError) -> int:
        """Show an error, and return the exit code."""
        self.messages.print(f"{class_name(error)}: {error}", style="red")
        self.messages.print(f"what to do: {runbook_url(error)}")
        if error.retryable:
            self.messages.print(self.after_failure)
        if self.is_stopped:
            return STOPPED
        return USAGE if isinstance(error, ConfigurationError) else FAILED


def command(work: Callable[[Namespace, Session], None]) -> Callable[[Namespace], NoReturn]:
    """Make a command of a function: run it in a session, and exit with a code."""

    @wraps(work)
    def run(args: Namespace) -> NoReturn:
        session = Session()
        with _server_context(), log_to(session.messages, verbose=args.verbose), _interruptible(session):
            try:
                work(args, session)
            except (S3ToAzureError, AirflowFailException) as error:
                cause = error if isinstance(error, S3ToAzureError) else error.__cause__
                if not isinstance(cause, S3ToAzureError):
                    raise
                raise SystemExit(session.fail(cause)) from None
            except KeyboardInterrupt:
                session.messages.print("stopped")
                raise SystemExit(STOPPED) from None
            except BrokenPipeError:
                # What reads the output, such as head, has ended. Python would report it again when it flushes at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise SystemExit(FAILED) from None
        raise SystemExit(0)

    return run


def check_account(destination: Destination, operator: BaseOperator) -> None:
    """Check that an operator's connection reaches the account of a destination, before anything is requested.

    :raises ConfigurationError: if it reaches another account, or is missing
    """
    from airflow_s3_azure.connections.wasb import account_url

    wasb_conn_id = read_argument("wasb_conn_id", vars(operator)["wasb_conn_id"])
    destination.check_connection(wasb_conn_id, account_url(wasb_conn_id))


def given(args: Namespace, *names: str) -> dict[str, Any]:
    """Return those of the options that were given, by the names of the operators' arguments."""
    found = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    return found | ({"aws_conn_id": None} if found.get("aws_conn_id") == "" else {})


@contextmanager
def _server_context() -> Iterator[None]:
    """Let Airflow look connections up as for its own commands: in its database too, not only in secrets backends."""
    name = "_AIRFLOW_PROCESS_CONTEXT"
    before = os.environ.get(name)
    os.environ[name] = "server"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


@contextmanager
def _interruptible(session: Session) -> Iterator[None]:
    """Have Ctrl-C stop the session, unless the process was started to ignore it."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, session.stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
