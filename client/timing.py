"""Timing: how patient a client is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a client waits for what. All are seconds.

    Attributes:
        base_seconds: bound of the first wait before a new attempt to connect; it doubles with each
            that fails, and each wait is a random part of it. 0.1 s: most cuts are short.
        cap_seconds: bound of every such wait. 5 s: people wait for it.
        try_again_seconds: the least wait where the server asks for one. 2 s: it is overloaded.
        silence_seconds: how long a server may say nothing before it is taken for gone. 30 s: it
            says something every 20 s.
        answer_seconds: how long its first word may take; what carries none in this time is taken
            to be blocked. 10 s: slow links do.
        climb_seconds: how long the fallback is used before WebSockets are tried again; it doubles
            with each try in vain, up to an hour. 60 s: networks change when people move.
        full_seconds: how long a full document is left alone before it is brought again what it has
            refused; it doubles with each refusal, up to ``full_cap_seconds``, and begins anew when
            somebody changes the document. 5 s: they may have made room.
        full_cap_seconds: bound of that wait. 300 s: nobody may, for long.
        leave_seconds: how long leaving waits for changes to become durable. 10 s: a restart of the
            server takes less.
    """

    base_seconds: float = 0.1
    cap_seconds: float = 5.0
    try_again_seconds: float = 2.0
    silence_seconds: float = 30.0
    answer_seconds: float = 10.0
    climb_seconds: float = 60.0
    full_seconds: float = 5.0
    full_cap_seconds: float = 300.0
    leave_seconds: float = 10.0
