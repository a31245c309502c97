"""What can be changed: one value for each elementary change, each of one role."""

from dataclasses import dataclass
from datetime import datetime

from aurora_restore.access.catalogue import Item


@dataclass(frozen=True)
class Change:
    """A change; `role` is whom it concerns."""

    role: str

    @property
    def rights_of(self) -> frozenset[str]:
        """The roles whose rights the master needs for it."""
        return frozenset()


@dataclass(frozen=True)
class CreateRole(Change):
    """Make the role, without a password."""

    login: bool
    limit: int
    until: datetime | None


@dataclass(frozen=True)
class AlterRole(Change):
    """Change attributes: LOGIN, CREATEDB ... to true or false, CONNECTION LIMIT, VALID UNTIL."""

    attributes: tuple[tuple[str, bool | int | datetime | None], ...]


@dataclass(frozen=True)
class SetPassword(Change):
    """Write the role's password, as a verifier that is kept elsewhere."""


@dataclass(frozen=True)
class SetSetting(Change):
    """Set a parameter for each of its sessions."""

    name: str
    value: str


@dataclass(frozen=True)
class ResetSetting(Change):
    """Forget a parameter; without a name all that are set for one database."""

    name: str | None
    database: str | None = None


@dataclass(frozen=True)
class Lock(Change):
    """Let nobody log in as it any more."""


@dataclass(frozen=True)
class Reassign(Change):
    """Give all that it owns here to the master."""

    @property
    def rights_of(self) -> frozenset[str]:
        return frozenset({self.role})


@dataclass(frozen=True)
class DropOwned(Change):
    """Take all its privileges here; what it owns must be another's already."""

    @property
    def rights_of(self) -> frozenset[str]:
        return frozenset({self.role})


@dataclass(frozen=True)
class DropRole(Change):
    """Remove the role."""


@dataclass(frozen=True)
class Own(Change):
    """Make the role an object's owner."""

    item: Item
    owner: str

    @property
    def rights_of(self) -> frozenset[str]:
        return frozenset({self.role, self.owner})


@dataclass(frozen=True)
class RevokeMembership(Change):
    """Take it out of a group, or (`only_admin`) the right to hand the membership on."""

    group: str
    grantor: str
    only_admin: bool

    @property
    def rights_of(self) -> frozenset[str]:
        return frozenset({self.grantor})


@dataclass(frozen=True)
class GrantMembership(Change):
    """Make it a member of a group, whose privileges it has and as which it may act."""

    group: str


@dataclass(frozen=True)
class RevokePrivilege(Change):
    """Take a privilege, or (`only_option`) the right to hand it on.

    `by` is who gave it if that was not the owner.
    """

    item: Item
    column: str | None
    privilege: str
    only_option: bool
    owner: str
    by: str | None

    @property
    def rights_of(self) -> frozenset[str]:
        return frozenset({self.by or self.owner})


@dataclass(frozen=True)
class GrantPrivilege(Change):
    """Give a privilege on an object."""

    item: Item
    privilege: str
    owner: str

    @property
    def rights_of(self) -> frozenset[str]:
        return frozenset({self.owner})


@dataclass(frozen=True)
class RevokeDefault(Change):
    """Take a privilege on what `creator` will make."""

    creator: str
    schema: str | None
    kind: str
    privilege: str

    @property
    def rights_of(self) -> frozenset[str]:
        return frozenset({self.creator})


@dataclass(frozen=True)
class GrantDefault(Change):
    """Give a privilege on what `creator` will make in a schema."""

    creator: str
    schema: str | None
    kind: str
    privilege: str

    @property
    def rights_of(self) -> frozenset[str]:
        return frozenset({self.creator})
