import { expect, test } from 'vitest'

import { type Change, dayOf, grow, momentsOf, rowsOf } from './changes.js'
import type { Version } from './versions.js'

const change = (author: string | null, seqs: [number, number], seconds: [number, number]): Change => ({
  author,
  first_seq: seqs[0],
  last_seq: seqs[1],
  first_ms: seconds[0] * 1_000,
  last_ms: seconds[1] * 1_000,
})

const version = (name: string, seq: number, automatic = false): Version => ({
  name,
  seq,
  created_ms: seq,
  author: null,
  automatic,
})

test('changes of people who wrote at the same time are one moment', () => {
  const changes = [
    change('~Ada', [4, 9], [100, 120]),
    change('~Grace', [3, 8], [99, 118]),
    change('~Ada', [1, 2], [10, 12]),
  ]
  expect(momentsOf(changes)).toEqual([
    { authors: ['~Ada', '~Grace'], firstSeq: 3, lastSeq: 9, firstMs: 99_000, lastMs: 120_000 },
    { authors: ['~Ada'], firstSeq: 1, lastSeq: 2, firstMs: 10_000, lastMs: 12_000 },
  ])
})

test('what one person writes with short rests is one moment, until somebody names it', () => {
  const changes = [change('~Ada', [6, 9], [60, 70]), change('~Ada', [2, 5], [5, 18])]
  expect(momentsOf(changes)).toHaveLength(1)
  expect(momentsOf(changes, [5])).toHaveLength(2)
  expect(momentsOf(changes, [4, 9])).toHaveLength(1)
  const apart = [change('~Ada', [6, 9], [90, 99]), change('~Ada', [2, 5], [5, 18])]
  expect(momentsOf(apart)).toHaveLength(2)
})

test('people who take turns have a moment each', () => {
  const turns = [
    change('~Ada', [6, 9], [60, 70]),
    change('~Grace', [4, 5], [30, 35]),
    change('~Ada', [1, 3], [5, 18]),
  ]
  expect(momentsOf(turns).map(({ authors }) => authors)).toEqual([['~Ada'], ['~Grace'], ['~Ada']])
})

test('an entry goes on with what its author did last, or begins anew after a pause', () => {
  let changes = [change('~Grace', [3, 4], [20, 21]), change('~Ada', [1, 2], [0, 10])]
  changes = grow(changes, { seq: 5, time_ms: 12_000, author: '~Ada' })
  expect(changes[0]).toEqual(change('~Ada', [1, 5], [0, 12]))
  changes = grow(changes, { seq: 6, time_ms: 15_000, author: '~Ada' })
  expect(changes.map(({ author, first_seq }) => [author, first_seq])).toEqual([
    ['~Ada', 6],
    ['~Ada', 1],
    ['~Grace', 3],
  ])
})

test('a version stands above the moment it ends in, and shows what came since the one before', () => {
  const changes = [change('~Ada', [5, 9], [200, 210]), change('~Ada', [1, 4], [0, 10])]
  const rows = rowsOf(changes, [version('first', 4), version('second', 9)], true)
  expect(rows.map(({ kind, seq, before }) => [kind, seq, before])).toEqual([
    ['version', 9, 4],
    ['moment', 9, 4],
    ['version', 4, 0],
    ['moment', 4, 0],
  ])
})

test('the change after the point that was named before a restore is told to be one', () => {
  const mark = { ...version('Before Ada restored “First” (Nov 23, 2026, 2:05:12 PM)', 4), author: '~Ada' }
  const restored = (changes: Change[]): unknown[] =>
    rowsOf(changes, [mark], true).map((row) => row.kind === 'moment' && [row.moment.firstSeq, row.restore?.what])
  // What was written before and after it within a minute stands by itself.
  expect(
    restored([change('~Ada', [6, 9], [25, 30]), change('~Ada', [5, 5], [20, 20]), change('~Ada', [1, 4], [0, 10])]),
  ).toEqual([[6, undefined], [5, '“First”'], false, [1, undefined]])
  expect(restored([change('~Grace', [5, 5], [20, 20]), change('~Ada', [1, 4], [0, 10])])).toEqual([
    [5, undefined],
    false,
    [1, undefined],
  ])
})

test('versions of pages that are not loaded wait for them', () => {
  const changes = [change('~Ada', [50, 60], [200, 210])]
  const rows = rowsOf(changes, [version('old', 7), version('auto', 3, true)], false)
  expect(rows).toHaveLength(1)
})

test('versions that the server named are shown where nothing else is left of their time', () => {
  const changes = [change('~Ada', [50, 60], [200, 210])]
  const rows = rowsOf(changes, [version('auto 1', 3, true), version('auto 2', 55, true)], true)
  expect(rows.map(({ seq }) => seq)).toEqual([60, 3])
})

test('days are called what people call them', () => {
  const now = new Date(2026, 10, 22, 0, 30).getTime()
  expect(dayOf(now - 60_000, now)).toBe('Today')
  expect(dayOf(now - 3_600_000, now)).toBe('Yesterday')
  expect(dayOf(now - 5 * 86_400_000, now)).toBe('Tuesday, November 17')
  expect(dayOf(now - 400 * 86_400_000, now)).toContain('2025')
})
