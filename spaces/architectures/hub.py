"""Whether huggingface.co is reachable, checked before its client waits for it."""

from __future__ import annotations

__all__ = ["HUB_SECONDS", "hub_faults", "hub_obstacle"]

HUB_SECONDS = 5.0
"""A reachable hub answers in a tenth of that. Its own client tries for minutes."""


def hub_faults() -> tuple[type[Exception], ...]:
    """What the hub's client raises where something cannot be had."""
    from huggingface_hub.errors import HfHubHTTPError

    # Below the hub's own error stands that of its HTTP client, which has changed with versions.
    return (*HfHubHTTPError.__bases__, OSError, ValueError)


def hub_obstacle() -> str | None:
    """Why the hub is not reachable; ``None`` where it is."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        with urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=HUB_SECONDS):
            return None
    except HTTPError:
        return None  # it answers
    except OSError as error:
        return f"{constants.ENDPOINT}: {error}"
