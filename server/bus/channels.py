"""Channels: where instances that share documents hear each other, by name."""


class Channels:
    """The names of channels.

    Args:
        prefix: what all of them begin with.

    Attributes:
        everyone: what is about no document.
        private: what the channel of a single instance begins with, before its id.
        shared: what the channel of a document begins with, before its name.
    """

    __slots__ = ("everyone", "private", "shared")

    def __init__(self, prefix: str) -> None:
        self.everyone = f"{prefix}:instances"
        self.private = f"{prefix}:i:"
        self.shared = f"{prefix}:d:"

    def of(self, document: str) -> str:
        """A document's stream and its channel have one name: a cluster's node has both."""
        return self.shared + document

    def document(self, channel: str) -> str:
        """The document whose channel it is."""
        return channel.removeprefix(self.shared)
