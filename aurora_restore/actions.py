"""What a plan does, in order: each thing that is made, changed or deleted, as people read it."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel

from aurora_restore.access.declared import DatabaseRole
from aurora_restore.plan import OldCluster, Plan
from aurora_restore.rds import names
from aurora_restore.rds.blueprint import Blueprint
from aurora_restore.rds.route import Hop
from aurora_restore.request import RestoreRequest

Sign = Literal["+", "~", "-"]


class Action(BaseModel, frozen=True):
    """One thing that is made (+), changed (~) or deleted (-), and where."""

    sign: Sign
    kind: str
    name: str
    place: str
    note: str


class Totals(BaseModel, frozen=True):
    """How many things are made, changed and deleted."""

    make: int
    change: int
    delete: int

    def __str__(self) -> str:
        return f"{self.make} to make, {self.change} to change, {self.delete} to delete"


def actions(plan: Plan, request: RestoreRequest, operation_id: str) -> list[Action]:
    """Return what is done to what, in the order in which it happens.

    Archived copies and final snapshots that become too old are not known before: they stand in
    the notes.
    """
    return [*_Account(plan, request, operation_id).refresh()]


def totals(listed: list[Action]) -> Totals:
    """Return how many of the actions make, change and delete something."""
    signs = [each.sign for each in listed]
    return Totals(make=signs.count("+"), change=signs.count("~"), delete=signs.count("-"))


class _Account:
    """One plan's actions, told part by part."""

    def __init__(self, plan: Plan, request: RestoreRequest, operation_id: str) -> None:
        self._plan, self._request, self._operation_id = plan, request, operation_id
        self._here = f"{request.target_account_id}/{request.target_region}"

    def refresh(self) -> Iterator[Action]:
        plan, old = self._plan, self._plan.old
        yield from self._copy()
        if old is not None and self._request.replace == "delete-first":
            yield from self._delete(old, old.blueprint.cluster_id)
        yield from self._restore(plan.new)
        yield from self._log_in(plan.new)
        if old is not None and self._request.replace == "swap":
            yield from self._swap(old)
        yield from self._archive()

    def _act(self, sign: Sign, kind: str, name: str, note: str = "", place: str = "") -> Action:
        return Action(sign=sign, kind=kind, name=name, place=place or self._here, note=note)

    def _copy(self) -> Iterator[Action]:
        hops = self._plan.route.hops
        for hop in hops:
            if hop.share:
                yield self._share(hop, "shared with")
            yield self._act("+", "cluster snapshot", hop.names[0], self._copied(hop), _place(hop))
        intermediate = hops[:-1]
        for hop in intermediate:
            note = "the intermediate copy is no longer needed"
            yield self._act("-", "cluster snapshot", hop.names[0], note, _place(hop))
        removed = {hop.names[0] for hop in intermediate}
        for hop in hops:
            if hop.withdraw and _source_id(hop) not in removed:
                yield self._share(hop, "no longer shared with")

    def _share(self, hop: Hop, what: str) -> Action:
        _, _, _, region, account, *_ = hop.source_arn.split(":")
        note = f"{what} account {hop.account}"
        return self._act("~", "cluster snapshot", _source_id(hop), note, f"{account}/{region}")

    def _copied(self, hop: Hop) -> str:
        route = self._plan.route
        notes = [f"copy of {_source_id(hop)}"]
        if hop.kms_key_id is not None:
            # The account and the Region of an ARN are the copy's own.
            notes.append(f"under {hop.kms_key_id.rsplit(':', 1)[-1]}")
        if hop.why:
            notes.append(hop.why)
        if hop is route.hops[-1] and route.otherwise:
            notes.append("in two hops if AWS refuses the single step")
        return ", ".join(notes)

    def _delete(self, old: OldCluster, name: str) -> Iterator[Action]:
        """The end of the old cluster, which has the identifier `name` by then."""
        request, before = self._request, old.blueprint
        yield from self._secure(old, name)
        if before.deletion_protection and request.lift_deletion_protection:
            yield self._act("~", "cluster", name, "deletion protection is turned off")
        for reader in before.instances[1:]:
            yield self._act("-", "instance", reader.id, f"reader of {name}")
        for writer in before.instances[:1]:
            yield self._act("-", "instance", writer.id, f"writer of {name}")
        ending = "its final snapshot stays" if request.final_snapshot else "without final snapshot"
        yield self._act("-", "cluster", name, ending)

    def _secure(self, old: OldCluster, name: str) -> Iterator[Action]:
        if self._request.final_snapshot:
            snapshot_id = names.final_snapshot_name(old.blueprint.cluster_id, self._operation_id)
            kept = self._request.final_snapshots_keep_newest
            note = f"final snapshot of {name}; those beyond the newest {kept} are deleted"
            yield self._act("+", "cluster snapshot", snapshot_id, note)

    def _restore(self, new: Blueprint) -> Iterator[Action]:
        moment = self._plan.data_from
        age = f", data of {moment:%Y-%m-%d %H:%M} UTC" if moment is not None else ""
        yield self._act(
            "+", "cluster", new.cluster_id, f"Aurora PostgreSQL {new.engine_version}{age}"
        )
        for number, each in enumerate(new.instances):
            role = "reader" if number else "writer"
            yield self._act("+", "instance", each.id, f"{role}, {each.instance_class}")
        later = ["Data API"] if new.http_endpoint else []
        later += [_LATER[name] for name in new.to_modify()]
        if later:
            note = f"{', '.join(later)} set once it is available"
            yield self._act("~", "cluster", new.cluster_id, note)

    def _log_in(self, new: Blueprint) -> Iterator[Action]:
        request, user = self._request, self._plan.master_username
        if request.master_secret_id is not None:
            note = f"set from secret {request.master_secret_id}"
            yield self._act("~", "master password", user, note)
        elif new.managed_password:
            yield self._act("~", "master password", user, "made and rotated by RDS")
        for file in self._plan.scripts:
            yield self._act("~", "script", file, "run before anybody can log in")
        for role in self._plan.roles:
            yield self._act("~", "role", role.name, _described(role, request.database))
        done = {"lock": "locked", "drop": "dropped, what they own goes to the master user"}
        note = f"the snapshot's other logins are {done[request.undeclared_logins]}"
        yield self._act("~", "logins", "undeclared", note)

    def _swap(self, old: OldCluster) -> Iterator[Action]:
        name = old.blueprint.cluster_id
        if self._plan.swaps_names:
            target = self._plan.target_cluster_id
            new_name = names.old_cluster_name(self._request, self._operation_id)
            yield self._act("~", "cluster", name, f"renamed to {new_name}")
            yield self._act("~", "cluster", self._plan.new.cluster_id, f"renamed to {target}")
            name = new_name
        hours = self._request.keep_old_hours
        if hours:
            yield from self._secure(old, name)
            note = f"kept for {hours} hours, then deleted by a later refresh"
            yield self._act("~", "cluster", name, note)
        else:
            yield from self._delete(old, name)

    def _archive(self) -> Iterator[Action]:
        request = self._request
        for hop in self._plan.route.hops[-1:]:
            name = hop.names[0]
            if request.archive == "delete":
                yield self._act("-", "cluster snapshot", name, "the restored copy is not archived")
                return
            kept = request.archive_keep_newest
            note = f"archived; archived copies beyond the newest {kept} are deleted"
            yield self._act("~", "cluster snapshot", name, note)


_LATER = {
    "PreferredMaintenanceWindow": "maintenance window",
    "DeletionProtection": "deletion protection",
}


def _described(role: DatabaseRole, database: str) -> str:
    """Return in a few words what a role may do, and how it gets in."""
    said = [
        f"{each.preset or 'as declared'} on {', '.join(each.schemas) or 'the server'} "
        f"of {each.database}"
        for each in role.grants(database)
    ]
    way = "by IAM" if role.iam else f"secret {role.secret_id}" if role.secret_id else "no login"
    return "; ".join([*said, way])


def _place(hop: Hop) -> str:
    return f"{hop.account}/{hop.region}"


def _source_id(hop: Hop) -> str:
    return hop.source_arn.rsplit(":cluster-snapshot:", 1)[-1]
