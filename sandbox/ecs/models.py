"""moto's tasks, with the agent behind them in place of a status that changes by being looked at."""

from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ecs import models
from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend
from moto.moto_api import state_manager

from sandbox.ecs.agent import Agent

_run_task = EC2ContainerServiceBackend.run_task
_MotoTask = models.Task
_NEVER = 10**9


class Task(_MotoTask):
    """A task whose status is what its agent says."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        backend = options["backend"]
        self.definition = options["task_definition"]
        self.account = str(backend.account_id)
        self.last_status = "PROVISIONING"
        self.stop_code: str | None = None
        self.stopped_reason: str | None = None  # type: ignore[assignment]
        for container in self.containers:
            container.exit_code = None  # type: ignore[attr-defined]
            del container.exitCode


def install(agent: Agent) -> None:
    """Let tasks run by `agent` from now on. Safe to repeat: the last call counts."""

    def run_task(self: EC2ContainerServiceBackend, *arguments: Any, **options: Any) -> list[Any]:
        tasks = _run_task(self, *arguments, **options)
        for task in tasks:
            agent.start(task)
        return tasks

    def stop_task(self: EC2ContainerServiceBackend, cluster: str, task: str, reason: str) -> Any:
        known = self.tasks.get(self._get_cluster(cluster).name, {})
        found = next((each for each in known.values() if each.id == task.rpartition("/")[2]), None)
        if found is None:
            raise InvalidParameterException("The referenced task was not found.")
        agent.stop(found, reason)
        return found

    # Fargate places a task by its own size; what moto adds up of its containers is of no account,
    # and missing if they have no size of their own.
    def no_requirements(_definition: Any) -> dict[str, Any]:
        return {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []}

    models.Task = Task  # type: ignore[misc]
    backend: Any = EC2ContainerServiceBackend
    backend.run_task, backend.stop_task = run_task, stop_task
    backend._calculate_task_resource_requirements = staticmethod(no_requirements)  # noqa: SLF001
    # moto gives this to interfaces of VPCs with DNS hostnames only, and shows it of all.
    interface: Any = NetworkInterface
    interface.private_dns_name = ""
    state_manager.set_transition("ecs::task", {"progression": "manual", "times": _NEVER})
