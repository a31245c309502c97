"""What refreshes have left behind, as people read it."""

from typing import TYPE_CHECKING

from aurora_restore.announcements import duration_text
from aurora_restore.cli.screen import Row, Screen

if TYPE_CHECKING:
    from aurora_restore.cli.cleaning import CleanupResult, Item

_STYLE = {"leftover": "yellow", "removed": "green", "failed": "bold red", "kept": ""}
_DAY = 86400


def show_cleanup(screen: Screen, result: "CleanupResult") -> None:
    """Print it: the leftovers, what is kept and why, where nobody could look."""
    if result.leftovers:
        screen.heading(f"Leftovers: {_count(result)}")
        screen.rows([_leftover(each) for each in result.leftovers])
    else:
        screen.heading(f"No leftovers in {', '.join(result.places)}.")
    if result.kept:
        screen.heading(f"Kept: {len(result.kept)}")
        screen.rows([_kept(each) for each in result.kept])
    if result.unseen:
        screen.heading(f"Not looked at: {len(result.unseen)}")
        screen.rows([Row([each.place, each.problem], "bold red") for each in result.unseen])
    if result.dry_run and result.leftovers:
        screen.heading("Nothing was changed. Without --dry-run the leftovers are removed.")


def _count(result: "CleanupResult") -> str:
    results: list[str] = [each.result for each in result.leftovers]
    said = f"{len(results)}" if result.dry_run else ""
    if not result.dry_run:
        said = f"{results.count('removed')} removed, {results.count('failed')} not removed"
    instances = [f"{count} x {name}" for name, count in sorted(result.instances.items())]
    return "; ".join([said, f"{result.gib} GiB of snapshots", *instances])


def _leftover(each: "Item") -> Row:
    parts = [each.reason]
    if each.ends_resuming:
        parts.append(f"operation {each.operation_id} cannot be resumed once this is removed")
    if each.problem is not None:
        parts.append(each.problem)
    return Row(
        [f"{each.result} {each.kind}", each.name, each.place, _facts(each), "; ".join(parts)],
        _STYLE[each.result],
    )


def _kept(each: "Item") -> Row:
    return Row([each.kind, each.name, each.place, _facts(each), each.reason])


def _facts(each: "Item") -> str:
    """Age, size, operation and its status."""
    instances = [f"{count} x {name}" for name, count in sorted(each.instances.items())]
    age = "age unknown"
    if each.age_seconds is not None:
        days = each.age_seconds // _DAY
        age = f"{days} d" if days > 1 else duration_text(each.age_seconds)
    size = [f"{each.gib} GiB"] if each.gib is not None else instances
    return ", ".join([age, *size, f"{each.operation_id} {each.operation_status or 'unknown'}"])
