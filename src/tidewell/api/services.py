"""What the routes work with: the open parts of the node, kept on the application."""

from typing import Annotated, Protocol

from fastapi import Depends, Request

from tidewell import clock
from tidewell.accounts.audit import Author
from tidewell.connections.sealing import SealingBox
from tidewell.discovery.asking import Discovery
from tidewell.egress import EgressRules
from tidewell.query.processes import QueryProcesses
from tidewell.runs.changes import JobChanges
from tidewell.runs.queue import Queue
from tidewell.runs.removal import Removal
from tidewell.runs.settling import Settling
from tidewell.settings import Settings
from tidewell.state.database import Database


class Services(Protocol):
    """The parts of a node that a request may use."""

    @property
    def settings(self) -> Settings: ...

    @property
    def database(self) -> Database: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def sealing(self) -> SealingBox: ...

    @property
    def queries(self) -> QueryProcesses: ...

    @property
    def discovery(self) -> Discovery: ...

    @property
    def egress(self) -> EgressRules: ...


def removal(node: Services, author: Author) -> Removal:
    """Removes things in the name of an author."""
    return Removal(
        node.database, node.queue, node.sealing, clock.now, author, node.settings.egress_allow
    )


def job_changes(node: Services, author: Author) -> JobChanges:
    """Changes jobs in the name of an author."""
    settling = Settling(node.database, node.sealing, node.settings)
    return JobChanges(node.database, node.queue, settling, clock.now, author)


def services(request: Request) -> Services:
    """The node of the application that serves this request."""
    node: Services = request.app.state.services
    return node


Node = Annotated[Services, Depends(services)]
