"""Every error of the bot, named by what the caller should do about it.

BotError
├── ConfigError           refuse to start: the configuration is wrong (exit 78)
├── Refused               say no and go on: a command or an order was not accepted (exit 3)
│   └── LeaseHeld         another process is the writer of this database
├── NotRunning            the bot that should answer is not there (exit 5)
├── Retryable             try again later: the venue or the disk is busy
│   └── StoreBusy         the transaction failed cleanly; nothing was written
├── OutcomeUnknown        ask before anything else: the request may have been carried out
└── Broken                stop: an invariant does not hold
    ├── StoreFatal        a commit whose outcome is not known, or a damaged file
    ├── ChainBroken       the audit chain does not verify
    ├── ReplayMismatch    the journal recomputed gives another history
    └── SchemaMismatch    the database and this code do not belong together
"""

from __future__ import annotations


class BotError(Exception):
    """Root of the tree; never raised itself."""


class ConfigError(BotError):
    """One or more problems in the configuration; ``problems`` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Refused(BotError):
    """A request that was understood and not accepted."""


class LeaseHeld(Refused):
    """Another process holds the lease of the database."""


class NotRunning(BotError):
    """No bot answers on the command socket."""


class Retryable(BotError):
    """A failure that left nothing behind."""


class StoreBusy(Retryable):
    """A transaction that failed cleanly: locked, full, or read-only."""


class OutcomeUnknown(BotError):
    """The request left; its answer did not arrive."""


class Broken(BotError):
    """An invariant of the program does not hold."""


class StoreFatal(Broken):
    """The outcome of a commit is not known, or the file is damaged: the process must end."""


class ChainBroken(Broken):
    """The hash chain of the audit trail does not verify."""


class ReplayMismatch(Broken):
    """The journal, decided again, does not give the stored transitions."""


class SchemaMismatch(Broken):
    """The database is newer than, or was edited apart from, the migrations here."""
