"""Targets: everything that is fuzzed, by name."""

from collections.abc import Callable, Mapping

from tests.fuzz import codecs, conversations, updates

TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "y-websocket": conversations.y_websocket,
    "hocuspocus": conversations.hocuspocus_documents,
    "y-sweet": conversations.y_sweet,
    "documents": updates.documents,
    "structs": updates.structs,
    "exports": updates.exports,
    "imports": updates.imports,
    "state-vectors": updates.state_vectors,
    "presence": codecs.presence,
    "relay": codecs.relayed,
    "fallback": codecs.posted_frames,
    "event-streams": codecs.event_streams,
    "lib0": codecs.integers_and_strings,
    "names": codecs.names,
    "messages": codecs.messages,
}
"""What takes an input, and fails where something does not hold that has to."""
