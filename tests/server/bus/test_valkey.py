"""The bus over a real Valkey: what it keeps, how it notices gaps, and what it does then."""

import asyncio
from contextvars import Context

import anyio
import anyio.abc
import pytest

from collab.server.bus.link import LONGEST_BYTES
from collab.server.bus.marks import Mark
from tests.server.bus.line import Ear, Line

pytestmark = pytest.mark.anyio


async def test_what_the_store_is_slow_with_is_kept_until_it_is_durable(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        one.change("d", b"b")
        await ear.until(lambda: ear.changes == [b"a", b"b"])
        assert await line.kept("d", 2) == [b"a", b"b"]
        one.committed("d", [range(1, 2), range(2, 3)])
        await line.until_empty("d")
        assert (ear.changes, ear.misses) == ([b"a", b"b"], 0)


async def test_what_is_durable_soon_never_goes_into_the_stream(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        for bus in (one, other):
            await bus.subscribe("d")
            await bus.subscribe("slow")
        one.change("d", b"a")
        one.committed("d", [range(1, 2)])
        one.change("slow", b"b")
        await ear.until(lambda: ear.changes == [b"a", b"b"])
        assert await line.kept("slow", 1) == [b"b"]  # By now "d" would have been kept as well.
        assert not await line.has_stream("d")


async def test_one_that_comes_later_hears_what_is_not_durable_yet_and_nothing_twice(
    line: Line,
) -> None:
    async with line.bus() as (one, _):
        await one.subscribe("d")
        for change in (b"a", b"b", b"c"):
            one.change("d", change)
        one.committed("d", [range(1, 2)])
        assert await line.kept("d", 2) == [b"b", b"c"]
        async with line.bus() as (after, ear):
            await after.subscribe("d")
            assert ear.changes == [b"b", b"c"]
            one.change("d", b"d")
            await ear.until(lambda: ear.changes == [b"b", b"c", b"d"])


async def test_a_gap_is_told(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        await ear.until(lambda: ear.changes == [b"a"])
        await line.publish("d", b"u 3 " + one.instance.encode() + b" c")
        await ear.until(lambda: ear.changes == [b"a", b"c"])
        assert ear.misses == 1


async def test_changes_of_several_instances_leave_no_gap(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (two, _), line.bus() as (three, ear):
        for bus in (one, two, three):
            await bus.subscribe("d")
        for number in range(3):
            one.change("d", b"one %d" % number)
            two.change("d", b"two %d" % number)
        await ear.until(lambda: len(ear.changes) == 6)
        one.unsubscribe("d")
        await one.subscribe("d")
        one.change("d", b"anew")
        await ear.until(lambda: b"anew" in ear.changes)
        assert ear.misses == 0


async def test_what_does_not_come_from_an_instance_is_left_alone(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        for payload in (b"", b"u", b"u 1", b"what?", b"u x y z w"):
            await line.publish("d", payload)
        one.change("d", b"a")
        await ear.until(lambda: ear.changes == [b"a"])


async def test_a_frame_for_one_is_heard_by_nobody_else(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (two, second), line.bus() as (three, third):
        for bus in (one, two, three):
            await bus.subscribe("d")
        one.say("d", b"for two", to=two.instance)
        one.say("d", b"for all")
        await second.until(lambda: second.frames == [b"for two", b"for all"])
        await third.until(lambda: third.frames == [b"for all"])


async def test_what_is_about_no_document_is_heard_by_all_others(line: Line) -> None:
    async with line.bus() as (one, own), line.bus() as (_, ear):
        one.announce(b"for all, with spaces")
        await ear.until(lambda: ear.announcements == [b"for all, with spaces"])
        assert own.announcements == []
        assert own.returns == ear.returns == 1


async def test_who_leaves_says_so(line: Line) -> None:
    async with line.bus() as (_, ear):
        async with line.bus() as (other, _):
            pass
        await ear.until(lambda: ear.leavers == [other.instance])


async def test_each_has_a_turn_of_its_own_to_look_after_one_that_died(line: Line) -> None:
    async with line.bus() as (_, one), line.bus() as (_, two), line.bus() as (_, three):
        await line.say_alive("0")
        ears = (one, two, three)
        for ear in ears:
            await ear.until(lambda ear=ear: "0" in ear.dead)  # type: ignore[misc]  # a closure in a loop
        assert sorted(ear.dead["0"] for ear in ears) == [0, 1, 2]
        assert not any(ear.leavers for ear in ears)


async def test_who_says_other_things_is_alive_though_its_heartbeat_is_late(line: Line) -> None:
    async with line.bus() as (bus, ear):
        await bus.subscribe("d")
        await line.say_alive("0")
        await line.say_alive("1")
        while "0" not in ear.dead:
            await line.publish("d", b"f 1 a frame")
            with anyio.move_on_after(1):
                await ear.until(lambda: "0" in ear.dead)
        assert "1" not in ear.dead
        await ear.until(lambda: "1" in ear.dead)


async def test_a_document_opened_anew_at_once_is_heard_of(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        for number in range(20):
            await other.subscribe("d")
            one.say("d", b"%d" % number)
            await ear.until(lambda number=number: ear.frames[-1:] == [b"%d" % number])  # type: ignore[misc]  # a closure in a loop
            other.unsubscribe("d")


async def test_a_change_tells_which_of_those_before_it_are_durable_and_where(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        one.change("d", b"b")
        one.committed("d", [range(7, 8)])
        one.change("d", b"c")
        await ear.until(lambda: ear.marks[-1:] == [Mark(1, 0, [range(7, 8)])])
        assert ear.numbers == [1, 2, 3]


async def test_who_writes_too_is_told_unasked_what_has_become_durable(line: Line) -> None:
    async with line.bus() as (one, here), line.bus() as (other, ear), line.bus() as (third, apart):
        for bus in (one, other, third):
            await bus.subscribe("d")
        other.change("d", b"x")
        await here.until(lambda: here.changes == [b"x"])
        one.change("d", b"a")
        one.committed("d", [range(4, 5)])
        await ear.until(lambda: ear.marks[-1:] == [Mark(1, 0, [range(4, 5)])])
        # Who only reads hears it with the next change, and who knows it hears it no more.
        one.change("d", b"b")
        await apart.until(lambda: apart.marks[-1:] == [Mark(1, 0, [range(4, 5)])])
        await ear.until(lambda: ear.changes == [b"a", b"b"])
        assert ear.marks == [Mark(0, 0, []), Mark(1, 0, [range(4, 5)])]


async def test_who_asks_is_told_at_once_what_is_durable_and_later_what_becomes_so(
    line: Line,
) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear), line.bus() as (third, apart):
        for bus in (one, other, third):
            await bus.subscribe("d")
        one.change("d", b"a")
        await ear.until(lambda: ear.changes == [b"a"])
        one.committed("d", [range(1, 2)])
        other.want("d", one.instance, 1)
        await ear.until(lambda: ear.marks[-1] == Mark(1, 0, [range(1, 2)]))
        one.change("d", b"b")
        other.want("d", one.instance, 2)
        await ear.until(lambda: len(ear.changes) == 2)
        heard = len(ear.marks)
        with anyio.move_on_after(0.3):  # It is asked twice over by then, and there is no answer.
            await ear.until(lambda: len(ear.marks) > heard)
        assert len(ear.marks) == heard
        one.committed("d", [range(5, 6)])
        await ear.until(lambda: ear.marks[-1] == Mark(2, 1, [range(5, 6)]))
        # Who did not ask hears it with the next change.
        one.change("d", b"c")
        await apart.until(lambda: apart.marks[-1] == Mark(2, 1, [range(5, 6)]))


async def test_what_is_not_answered_for_a_second_is_told_to_who_wants_to_know(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        await ear.until(lambda: ear.changes == [b"a"])
        other.want("d", one.instance, 1)
        await ear.until(lambda: ear.unanswered_questions == ["d"])
        one.committed("d", [range(1, 2)])
        await ear.until(lambda: ear.marks[-1].durable == 1)


async def test_who_has_closed_the_document_has_committed_all_of_it(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        await ear.until(lambda: ear.changes == [b"a"])
        one.unsubscribe("d")
        other.want("d", one.instance, 1)
        await ear.until(lambda: ear.marks[-1].durable == 1)


async def test_a_document_that_rests_is_marked_once_and_nothing_is_missed(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        one.committed("d", [range(3, 4)])
        await ear.until(lambda: ear.marks[-1:] == [Mark(2, 0, [range(3, 4)])])
        one.change("d", b"b")
        await ear.until(lambda: ear.changes == [b"a", b"b"])
        assert (ear.numbers, ear.misses) == ([1, 3], 0)


async def test_an_instance_of_the_release_before_is_understood_and_tells_no_marks(
    line: Line,
) -> None:
    async with line.bus() as (bus, ear), line.bus():
        await bus.subscribe("d")
        await line.publish("d", b"u 1 before a b")
        await line.publish("d", b"u 2 before c")
        await ear.until(lambda: ear.changes == [b"a b", b"c"])
        assert (ear.numbers, ear.marks, ear.misses) == ([None, None], [], 0)


async def test_seqs_of_changes_that_were_missed_are_not_told(line: Line) -> None:
    async with line.bus() as (bus, ear), line.bus():
        await bus.subscribe("d")
        await line.publish("d", b"u:0,0 1 one a")
        await line.publish("d", b"u:2,0,1-2 3 one c")
        await ear.until(lambda: len(ear.marks) == 2)
        assert ear.marks[1] == Mark(2, 2)
        assert ear.misses == 1


async def test_who_opens_a_document_anew_has_committed_what_it_passed_on_before(
    line: Line,
) -> None:
    async with line.bus() as (other, ear), line.bus() as (one, _):
        await other.subscribe("d")
        for _ in range(2):
            await one.subscribe("d")
            one.change("d", b"a")
            one.change("d", b"b")
            one.unsubscribe("d")
        await ear.until(lambda: len(ear.changes) == 4)
        assert (ear.reopenings, ear.misses) == (1, 0)


async def test_a_late_change_in_the_stream_has_its_number(line: Line) -> None:
    async with line.bus() as (one, _):
        await one.subscribe("d")
        one.change("d", b"a")
        assert await line.kept("d", 1) == [b"a"]
        async with line.bus() as (after, ear):
            await after.subscribe("d")
            assert (ear.changes, ear.numbers) == ([b"a"], [1])


def test_what_is_heard_may_start_tasks_on_a_loop_that_anyio_did_not_start(line: Line) -> None:
    class Starter(Ear):
        """An ear that starts a task when it hears an announcement."""

        def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
            super().__init__()
            self.started = anyio.Event()
            self._tasks = tasks

        def announced(self, frame: bytes, instance: str) -> None:
            self._tasks.start_soon(self._start)

        async def _start(self) -> None:
            self.started.set()

    async def hear() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks, line.bus() as (one, _):
                starter = Starter(tasks)
                async with line.join(starter):
                    one.announce(b"for all")
                    await starter.started.wait()

    Context().run(asyncio.run, hear())


@pytest.mark.parametrize("heard", [[], [b"a"]])
async def test_who_cannot_hear_a_long_change_reads_the_store_once_it_is_durable(
    line: Line, heard: list[bytes]
) -> None:
    async with line.bus() as (one, own), line.bus() as (other, ear):
        for bus in (one, other):
            await bus.subscribe("d")
            await bus.subscribe("e")
        for change in heard:
            one.change("d", change)
        one.change("d", bytes(LONGEST_BYTES + 1))
        one.change("e", b"b")
        await ear.until(lambda: ear.changes == [*heard, b"b"])
        assert ear.misses == 0
        one.committed("d", [range(seq, seq + 1) for seq in range(1, len(heard) + 2)])
        await ear.until(lambda: ear.misses > 0)
        one.change("d", b"c")
        await ear.until(lambda: ear.changes == [*heard, b"b", b"c"])
        assert all(not mark.seqs for mark in ear.marks if mark.durable > len(heard))
        assert own.cuts == 0


async def test_who_closes_a_document_has_others_read_what_was_too_long_for_them(
    line: Line,
) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", bytes(LONGEST_BYTES + 1))
        one.committed("d", [range(1, 2)])
        one.unsubscribe("d")
        await ear.until(lambda: ear.misses > 0)


async def test_an_answer_that_is_too_long_has_others_read_the_store(line: Line) -> None:
    async with line.bus() as (one, own), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.say("d", bytes(LONGEST_BYTES + 1), to=other.instance)
        await ear.until(lambda: ear.misses > 0)
        assert (ear.frames, own.cuts) == ([], 0)
