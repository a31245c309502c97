"""moto's ECS, whose tasks really run: RunTask starts the task's command in a process.

`install` before the first request. What stands for an image is given by `Agent.add_image`.
"""

from sandbox.ecs.agent import Agent
from sandbox.ecs.models import install

__all__ = ["Agent", "install"]
