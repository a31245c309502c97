"""Who owns what afterwards, and which changes that takes."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property

from aurora_restore.access import presets
from aurora_restore.access.catalogue import Catalogue, Item, Owned
from aurora_restore.access.changes import Own, Reassign
from aurora_restore.access.declared import Declared

DATABASE_OWNER = "pg_database_owner"  # the role that is whoever owns the database


class Ownership:
    """Who shall own each object, now that some roles must or may not own any."""

    def __init__(self, declared: Declared, catalogue: Catalogue, dropped: Collection[str]) -> None:
        """`dropped` are the roles that are about to be removed."""
        self._catalogue = catalogue
        self._schemas = {
            schema: role.name
            for role, block in declared.grants
            if block.preset == "owner" and block.database == catalogue.database
            for schema in block.schemas
        }
        strays = {each.role for each in catalogue.owned if not self._is_declared(each)}
        leaving = {
            name
            for name, place in catalogue.places
            if name in dropped and place == catalogue.database
        }
        self._reassigned = sorted(strays | leaving)
        self.database_owner = self._after(catalogue.database_owner)

    def _is_declared(self, each: Owned) -> bool:
        return each.schema is not None and self._schemas.get(each.schema) == each.role

    def _after(self, owner: str) -> str:
        return self._catalogue.master if owner in self._reassigned else owner

    def after(self, item: Item) -> str:
        """Return who owns it once all is changed."""
        place = item.name if item.kind == presets.SCHEMA else item.schema
        if place is not None and place in self._schemas and item not in self._catalogue.foreign:
            return self._schemas[place]
        return self._after(self._catalogue.owners[item])

    def actor(self, owner: str) -> str:
        """Return the role whose rights are an owner's."""
        return self.database_owner if owner == DATABASE_OWNER else owner

    def changes(self) -> Iterator[Reassign | Own]:
        """Give what must be changed: a schema before what is in it, whose owner it must let in."""
        for role in self._reassigned:
            yield Reassign(role)
        apart = self._catalogue.foreign | self._catalogue.following
        for item in sorted(self._catalogue.owners, key=lambda item: item.kind != presets.SCHEMA):
            owner = self._after(self._catalogue.owners[item])
            if item not in apart and self.after(item) != owner:
                yield Own(self.after(item), item, self.actor(owner))

    def creators(self, schema: str) -> frozenset[str]:
        """Return who makes objects in a schema: its owner, its objects' owners, the master."""
        return frozenset({self._catalogue.master, *self._makers.get(schema, ())})

    @cached_property
    def _makers(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for item in self._catalogue.owners:
            place = item.name if item.kind == presets.SCHEMA else item.schema
            if place is not None:
                found[place].add(self.actor(self.after(item)))
        return found
