"""The rooms' commands: where each is, and the line of help that `eventfold --help` shows of it.

A room is imported when one of its commands is run, so that neither `--help` nor a query waits for what daemons need.
"""

from __future__ import annotations

from importlib import import_module

import click


class Listed(click.Command):
    """A command of which only the name and the line of help are known, until it is loaded."""

    def __init__(self, name: str, home: str, help: str, *, hidden: bool = False) -> None:
        super().__init__(name, help=help, hidden=hidden)
        self._home = home

    def load(self) -> click.Command:
        """The command itself."""
        module, _, attribute = self._home.partition(":")
        command: click.Command = getattr(import_module(f"eventfold.{module}"), attribute)
        return command


COMMANDS = (
    Listed(
        "aggregate",
        "tools.loading_cli:aggregate",
        "Show an aggregate of DOMAIN as its decider sees it: version and state, e.g. for --expect-version.",
    ),
    Listed(
        "build-worker",
        "tools.rebuild_cli:build_worker",
        "Build some slices of a generation; what `replay --workers` starts.",
        hidden=True,
    ),
    Listed(
        "dead-letters",
        "tools.dead_letters_cli:dead_letters",
        "Look at what could not be worked on, try it again, or throw it away.",
    ),
    Listed(
        "digest",
        "tools.query_cli:digest_command",
        "Digest every row of read models: equal digests, equal tables, whatever order they were written in.",
    ),
    Listed(
        "doctor",
        "tools.doctor:doctor",
        "Check Python, Kafka, Redis, topics, schemas, daemons; exit code 1 when something is wrong.",
    ),
    Listed("event", "tools.history_cli:event", "Show the event whose own id is ID (a UUID), wherever it lies."),
    Listed(
        "export",
        "tools.log.export_cli:export",
        "Save the committed records of TOPIC in FOLDER, an Avro object container file a partition.",
    ),
    Listed(
        "forget",
        "tools.forget_cli:forget",
        "Forget what NAME made of the log: a projection, DOMAIN.handler, or a process manager (transfers.process-manager).",
    ),
    Listed(
        "generations",
        "tools.rebuild_cli:generations",
        "List the generations of PROJECTION: which is live, how far each is, its size and its age.",
    ),
    Listed(
        "history",
        "tools.history_cli:history",
        "List the events of an aggregate of DOMAIN in the log's order: when each happened (ce_time), when the log took "
        "it, where it lies, which command caused it (causation_id).",
    ),
    Listed(
        "import-log",
        "tools.log.export_cli:import_log",
        "Restore what `eventfold export` saved in FOLDER: every topic under the name that it had, or the only one as TOPIC.",
    ),
    Listed(
        "lag",
        "tools.run_cli:lag",
        "Show how far projections, handlers and process managers are behind the log; 0 when only transaction markers remain.",
    ),
    Listed(
        "outcome",
        "tools.outcome_cli:outcome",
        "Tell what became of the command ID (a UUID) to the aggregate KEY.",
    ),
    Listed(
        "publish",
        "tools.publish_cli:publish",
        "Publish events of TYPE (weather.Observed) from FILE or stdin, one JSON object a line.",
    ),
    Listed("query", "tools.query_cli:query", "Read a read model."),
    Listed(
        "replay",
        "tools.rebuild_cli:replay",
        "Build PROJECTION anew beside the live one, compare the two, and go live with it, with no downtime.",
    ),
    Listed("rollback", "tools.rebuild_cli:rollback", "Make the generation of PROJECTION that was live before live again."),
    Listed(
        "run",
        "tools.run_cli:run",
        "Run daemons until SIGTERM or Ctrl-C; they finish their batch, commit and leave their group.",
    ),
    Listed(
        "schemas",
        "tools.schemas_cli:schemas",
        "The versions of all messages: look at them, compare them, check and release new ones.",
    ),
    Listed(
        "serve",
        "web.serve_cli:serve",
        "Serve queries and commands over HTTP, or one SIDE of the two, and the page; until SIGTERM or Ctrl-C.",
    ),
    Listed(
        "status",
        "tools.status_cli:status",
        "Show each daemon by its last sign of life; on stderr what stands in its way, and which partitions nobody has.",
    ),
    Listed(
        "tail",
        "tools.log.tail_cli:tail",
        "Show the committed records of TOPIC (flights.events), a line each: position, when it was recorded, type, "
        "version of its schema, key, data.",
    ),
    Listed("topics", "tools.run_cli:topics", "Create, list and mend the topics of the enabled domains."),
    Listed(
        "verify",
        "tools.rebuild_cli:verify",
        "Compare every row of PROJECTION with the log, without touching it; exit code 1 when something differs.",
    ),
)
