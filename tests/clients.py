"""The product's clients are kept from test to test, since making them takes longer than a test."""

from aurora_restore import sessions

_made = {"for": ""}


def are_of(url: str) -> None:
    """Let the product make its clients anew if those it has talk to another sandbox."""
    if _made["for"] != url:
        forget()
        _made["for"] = url


def forget() -> None:
    """Let it make them anew, and fetch their credentials again."""
    _made["for"] = ""
    sessions._client.cache_clear()
    sessions._session.cache_clear()
