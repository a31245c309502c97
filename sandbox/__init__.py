"""AWS on this machine: two accounts with Aurora's manners and a real PostgreSQL in each cluster."""

from sandbox.client import Sandbox, SandboxError
from sandbox.faults import Fault

__all__ = ["Fault", "Sandbox", "SandboxError"]
