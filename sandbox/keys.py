"""Access keys that are always good: an administrator's and the sandbox's own, per account."""


def admin_keys(account: str) -> tuple[str, str]:
    """Return the access key and secret key of an account's administrator. They never expire."""
    return f"AKIA{account}ADMN", "sandbox"


def host_keys(account: str) -> tuple[str, str]:
    """Return keys of the sandbox itself: not logged, and no planted failure meets them."""
    return f"AKIA{account}HOST", "sandbox"


def is_host(access_key: str) -> bool:
    """Tell whether these are the sandbox's own keys."""
    return access_key.startswith("AKIA") and access_key.endswith("HOST")
