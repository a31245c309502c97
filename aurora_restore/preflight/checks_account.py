"""The accounts, what may be touched in them, the records and the topic."""

from aurora_restore.preflight.check import Check, failed, ok
from aurora_restore.preflight.facts import Facts


def target_account(facts: Facts) -> list[Check]:
    """The credentials are of the target account."""
    facts.target.identity.get()
    resource = f"target_account_id {facts.request.target_account_id}"
    return [ok("target-account", resource, facts.target.who())]


def source_account(facts: Facts) -> list[Check]:
    """The source role can be assumed, and is of the source account."""
    name, resource = "source-account", f"source_account_id {facts.request.source_account_id}"
    if not facts.own:
        return [ok(name, resource, "not entered: the snapshot must be shared with the target")]
    facts.source.identity.get()
    return [ok(name, resource, facts.source.who())]


def allow_list(facts: Facts) -> list[Check]:
    """The settings let this account and these clusters be touched."""
    request, settings = facts.request, facts.settings
    checks = []
    allowed = settings.allowed_target_accounts
    if allowed and request.target_account_id not in allowed:
        checks.append(
            failed(
                "allow-list",
                f"target_account_id {request.target_account_id}",
                "not among AURORA_RESTORE_ALLOWED_TARGET_ACCOUNTS",
                "Correct the request, or have the platform team allow the account.",
            )
        )
    checks += [
        failed(
            "allow-list",
            f"cluster {cluster_id}",
            "its identifier does not match AURORA_RESTORE_ALLOWED_TARGET_CLUSTERS "
            f"({settings.allowed_target_clusters.pattern})",
            "Correct the request, or have the platform team allow the identifier.",
        )
        for cluster_id in sorted({request.target_cluster_id, request.replaced_cluster_id})
        if not settings.allowed_target_clusters.fullmatch(cluster_id)
    ]
    resource = f"cluster {request.target_cluster_id}"
    return checks or [ok("allow-list", resource, "the settings let it be replaced")]


def records_table(facts: Facts) -> list[Check]:
    """The records can be read as they will be."""
    facts.table.get()
    resource = f"DynamoDB table {facts.settings.state_table}"
    return [ok("records-table", resource, "records can be read")]


def topic(facts: Facts) -> list[Check]:
    """The topic that the outcome is announced to is there."""
    facts.topic.get()
    return [ok("topic", f"topic {facts.settings.topic_arn}", "it is there")]
