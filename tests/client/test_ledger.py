"""What a client knows to be durable."""

from collab.client.ledger import Ledger


def test_a_frame_vouches_for_all_changes_before_it() -> None:
    ledger = Ledger()
    ledger.make()
    ledger.make()
    ledger.send()
    ledger.make()
    ledger.send()
    ledger.accept()
    assert (ledger.made, ledger.durable) == (3, 2)
    ledger.accept()
    assert ledger.durable == 3


def test_parts_of_a_change_do_not_vouch_for_it() -> None:
    ledger = Ledger()
    ledger.make()
    ledger.send()
    ledger.make()
    ledger.send_part()
    ledger.send_part()
    ledger.send()
    ledger.accept()
    ledger.accept()
    ledger.accept()
    assert ledger.durable == 1
    ledger.accept()
    assert ledger.durable == 2


def test_a_new_connection_expects_no_answers_of_an_old_one() -> None:
    ledger = Ledger()
    ledger.make()
    ledger.send()
    ledger.begin()
    ledger.accept()
    assert ledger.durable == 0
    ledger.send()
    ledger.accept()
    assert ledger.durable == 1


def test_nothing_counts_as_durable_after_a_refusal_until_the_next_connection() -> None:
    ledger = Ledger()
    ledger.make()
    ledger.send()
    ledger.make()
    ledger.send()
    ledger.refuse()
    ledger.accept()
    assert ledger.refused
    assert ledger.durable == 0
    ledger.begin()
    assert not ledger.refused
    ledger.send()
    ledger.accept()
    assert ledger.durable == 2


def test_what_was_sent_before_all_is_sent_again_vouches_for_nothing() -> None:
    ledger = Ledger()
    ledger.make()
    ledger.send()
    ledger.refuse()
    ledger.make()
    ledger.send()
    ledger.begin_again()
    ledger.send()
    ledger.accept()
    assert not ledger.refused
    assert ledger.durable == 0
    ledger.accept()
    assert ledger.durable == 2
