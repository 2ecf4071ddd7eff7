"""How supervisor and evaluator talk: JSON messages over a socket pair, one line of kinds.

    supervisor → evaluator        evaluator → supervisor
    begin   settings              open      phase
    call    name, argument        close
    reading readings              progress  message
    go                            sized     sizing
    stop    reason                weighed   weighed
    standing standing             trained   curve
                                  result    value
                                  code      what, whose
                                  failed    cause, reason
                                  stopped   reason
                                  refused   reason
                                  aborted   reason

``open``, ``close``, ``sized``, ``weighed``, ``trained`` and ``progress`` are answered before the
evaluator goes on, so that it computes nothing between the end of a window and the reading of its
counters, nor in a pause. ``code`` is not answered: it says what is done with code of the
user's, ``null`` when that is over.
"""

from __future__ import annotations

import json
import socket
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Channel", "Message"]

Message = dict[str, Any]
"""A message: its ``kind``, and what else that kind says."""


class Channel:
    """One end of a pair.

    Args:
        descriptor: An open socket's file descriptor, owned by the channel from now on.
    """

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)

    @staticmethod
    def pair() -> tuple[Channel, int]:
        """Our end, and the descriptor of the other, to be handed to a child."""
        ours, theirs = socket.socketpair()
        return Channel(ours.detach()), theirs.detach()

    def send(self, kind: str, /, **said: Any) -> None:
        """Sends one message.

        Raises:
            OSError: The other end is gone.
        """
        self._connection.send_bytes(json.dumps({"kind": kind, **said}).encode())

    def receive(self) -> Message:
        """Waits for the next message.

        Raises:
            EOFError: The other end is gone.
            OSError: The same, mid-message.
        """
        message: Message = json.loads(self._connection.recv_bytes())
        return message

    def poll(self, seconds: float) -> bool:
        """Whether a message (or the end) comes within so many seconds."""
        return self._connection.poll(seconds)

    def close(self) -> None:
        """Closes this end."""
        self._connection.close()
