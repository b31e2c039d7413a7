"""Who typed what, who has what of it, and what the store has."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from collab.document import Document
from collab.state_vector import decode
from collab.store import Stored
from collab.structs import Kind, read_structs
from tests.clients.driver import Client
from tests.soak.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A writer at one moment.

    Attributes:
        label: what it is called.
        client_id: its Yjs client id.
        clock: clock up to which it has typed.
        acknowledged: clock up to which it thinks that its insertions are durable.
        durable: (clock, length) of the insertions that it was told to be durable.
        known: clocks it has of everybody; None for who only writes.
        typed: characters it typed and did not delete again.
        text: what it shows.
    """

    label: str
    client_id: int
    clock: int
    acknowledged: int
    durable: Sequence[tuple[int, int]]
    known: dict[int, int] | None
    typed: Sequence[str]
    text: str


def page_of(label: str, client: Client) -> Page:
    """Looks at a client."""
    facts = client.facts()
    return Page(
        label=label,
        client_id=facts.client_id,
        clock=facts.clock,
        acknowledged=facts.acknowledged,
        durable=facts.durable or [(0, facts.acknowledged)],
        known=facts.known,
        typed=facts.typed,
        text=facts.text,
    )


def page_of_program(program: Program) -> Page:
    """Looks at the program."""
    return Page(
        label=program.label,
        client_id=program.pen.client_id,
        clock=program.pen.clock,
        acknowledged=program.acknowledged,
        durable=[(0, program.acknowledged)],
        known=None,
        typed=program.pen.typed,
        text=str(program.pen.text),
    )


def check_stored(stored: Stored, pages: Sequence[Page]) -> None:
    """Checks that whatever somebody was told to be durable is stored.

    What came before that on which it depends is stored, too: it waits.
    """
    clocks: dict[int, set[int]] = {page.client_id: set() for page in pages}
    for struct in read_structs(Document.load(stored).encode()):
        if struct.kind is not Kind.SKIP:
            clocks[struct.client].update(range(struct.clock, struct.clock + struct.length))
    lost = {
        page.label: sorted(
            {at for clock, length in page.durable for at in range(clock, clock + length)}
            - clocks[page.client_id]
        )
        for page in pages
    }
    lost = {label: gone for label, gone in lost.items() if gone}
    assert not lost, f"expected all that was acknowledged in the store, got none of {lost}"


def check_typed(text: str, pages: Sequence[Page], besides: str) -> None:
    """Checks that a text is made of what was typed: nothing lost, nothing there twice."""
    typed = Counter(besides)
    for page in pages:
        typed.update(page.typed)
    shown = Counter(text)
    assert shown == typed, f"doubled: {shown - typed}, lost: {typed - shown}"


def tell_lacks(pages: Sequence[Page], stored: Stored) -> str:
    """Tells who lacks what of whom; the store is one of them."""
    clocks = {"the store": decode(Document.load(stored).state_vector)}
    clocks |= {page.label: page.known for page in pages if page.known is not None}
    lines = [
        f"{reader} has {known.get(page.client_id, 0)} of {page.clock} of {page.label}"
        for reader, known in clocks.items()
        for page in pages
        if known.get(page.client_id, 0) < page.clock
    ]
    lines += [
        f"{page.label} knows {page.acknowledged} of {page.clock} to be durable"
        for page in pages
        if page.acknowledged < page.clock
    ]
    return "\n".join(lines) or "nobody lacks anything"
