"""Facts of the account this runs in: `AURORA_RESTORE_*` environment variables."""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from aurora_restore.details import Step
from aurora_restore.errors import Refused
from aurora_restore.request import one_line

_ALL = 100  # per cent


class Poll(BaseModel, frozen=True):
    """How often to look, within these bounds, and when to give up. All in seconds."""

    at_least: float = Field(10, gt=0, description="Seconds between two looks at least.")
    at_most: float = Field(10, gt=0, description="Seconds between two looks at most.")
    give_up_after: float = Field(7200, gt=0, description="Seconds until the wait fails.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.at_least > self.at_most:
            raise ValueError("at_least: greater than at_most; exchange the two")
        return self

    @property
    def retries(self) -> int:
        """Looks after the first one; more than the deadline needs, since the deadline decides."""
        return int(self.give_up_after / self.at_least * 1.5) + 10

    def look_again_in(self, waited: float, percent: int | None) -> float:
        """Return the seconds until the next look, after `waited` seconds at `percent` done.

        A quarter of what is left if the rest goes as what is done, within the bounds: each look
        then finds a quarter less to wait for, and the last one comes late by a fraction. Without
        a percentage that says anything, as seldom as permitted.
        """
        if not percent or percent >= _ALL:
            return self.at_most
        left = waited * (_ALL - percent) / percent
        return min(max(left / 4, self.at_least), self.at_most)


class Settings(BaseSettings):
    """What the platform team fixes once, so that no request can go beyond it."""

    model_config = SettingsConfigDict(
        env_prefix="AURORA_RESTORE_", env_nested_delimiter="__", env_ignore_empty=True, frozen=True
    )

    state_table: str = Field(min_length=3, description="DynamoDB table of the records.")
    state_index: str = Field(
        "step-timestamp", description="Index of that table on step and timestamp."
    )
    target_index: str = Field(
        "target-timestamp", description="Index of that table on target and timestamp."
    )
    topic_arn: str = Field(pattern=r"^arn:aws[a-z-]*:sns:", description="SNS topic to announce to.")
    source_role_arn: str | None = Field(
        None, description="Role of the source account to assume. None: the snapshot is shared."
    )
    source_external_id: str | None = Field(None, description="External id that role asks for.")
    allowed_target_accounts: list[str] = Field(
        default=[], description="Accounts that may be restored into. Empty: any."
    )
    allowed_target_clusters: re.Pattern[str] = Field(
        re.compile(".*"),
        description="Regular expression that a deleted or restored cluster's id must match.",
    )
    # Only a copy tells how far it has come, in time: the other waits look at a fixed interval.
    copy_poll: Poll = Poll(at_least=10, at_most=60, give_up_after=12 * 3600)
    delete_poll: Poll = Poll(give_up_after=3 * 3600)
    restore_poll: Poll = Poll(give_up_after=4 * 3600)
    database_poll: Poll = Poll(give_up_after=900)
    lease_seconds: float = Field(
        120,
        gt=0,
        description="For how long a run that does not renew its lease keeps its target.",
    )
    lost_after: float = Field(
        300, ge=0, description="Seconds after which a run that lost its lease counts as vanished."
    )
    authentication_lag: float = Field(
        120,
        ge=0,
        description="Seconds for which the database may not know a password that was just set.",
    )
    files: Path = Field(
        Path("files"), description="Folder of the SQL and role files that requests name."
    )
    records_patience: float = Field(
        180, ge=0, description="Seconds for which a table that does not answer is asked again."
    )

    @property
    def longest_refresh(self) -> timedelta:
        """How long a refresh's waits may last together until its logins are tried."""
        waits = (self.copy_poll, self.delete_poll, self.restore_poll, self.database_poll)
        return timedelta(seconds=sum(each.give_up_after for each in waits))

    def poll(self, step: Step) -> Poll:
        """How the waits of a step are paced."""
        match step:
            case Step.COPY_SNAPSHOT | Step.CHECK_COPY_STATUS:
                return self.copy_poll
            case Step.DELETE_CLUSTER | Step.ARCHIVE_SNAPSHOT:
                return self.delete_poll
            case Step.SETUP_DB_USERS:
                return self.database_poll
            case _:
                return self.restore_poll


def given(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that are set in an environment, as they are written there."""
    prefix = "AURORA_RESTORE_"
    return {
        name: text
        for name, text in environment.items()
        if text
        and name.startswith(prefix)
        and name.removeprefix(prefix).partition("__")[0].lower() in Settings.model_fields
    }


@cache
def settings() -> Settings:
    """Return the settings of this process, read once.

    Raises:
        Refused: a variable is missing or malformed; names each.
    """
    try:
        return Settings()
    except (ValidationError, SettingsError) as error:
        problem = one_line(error) if isinstance(error, ValidationError) else str(error)
        raise Refused(
            "environment", problem, "Set AURORA_RESTORE_<NAME> for each name above."
        ) from None
