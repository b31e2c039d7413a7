import { expect, test } from 'vitest'
import * as Y from 'yjs'

import { ClockRanges, Extent } from '../clock-ranges.js'

test('ranges are gone when several others together cover them', () => {
  const ranges = new ClockRanges([
    [1, 10, 5],
    [1, 0, 10],
    [2, 3, 1],
  ])
  ranges.subtract(new ClockRanges([[1, 4, 2]]))
  ranges.subtract(new ClockRanges([[1, 0, 4], [2, 0, 9]]))
  expect(ranges.isEmpty).toBe(false)
  ranges.subtract(new ClockRanges([[1, 6, 8]]))
  expect(ranges.isEmpty).toBe(false)
  ranges.subtract(new ClockRanges([[1, 14, 1]]))
  expect(ranges.isEmpty).toBe(true)
})

test('subtracting agrees with sets of clocks', () => {
  let seed = 7
  const random = (bound: number): number => {
    seed = (seed * 48271) % 2147483647
    return seed % bound
  }
  for (let round = 0; round < 500; round += 1) {
    const draw = (): [number, number, number][] =>
      Array.from({ length: random(6) }, () => [random(2), random(12), random(5)])
    const ours = draw()
    const theirs = draw()
    const clocks = (ranges: [number, number, number][]): Set<string> =>
      new Set(
        ranges.flatMap(([client, clock, length]) =>
          Array.from({ length }, (_, offset) => `${client}:${clock + offset}`),
        ),
      )
    const ranges = new ClockRanges(ours)
    ranges.subtract(new ClockRanges(theirs))
    const covered = clocks(theirs)
    const expected = [...clocks(ours)].every((clock) => covered.has(clock))
    expect(ranges.isEmpty, JSON.stringify([ours, theirs])).toBe(expected)
  }
})

test('a gap between merged updates covers nothing', () => {
  const doc = new Y.Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  doc.getText('content').insert(0, 'a')
  doc.getText('content').insert(1, 'b')
  doc.getText('content').insert(2, 'c')
  const middle = Extent.of(updates[1]!)
  middle.subtract(Extent.of(Y.mergeUpdates([updates[0]!, updates[2]!])))
  expect(middle.isEmpty).toBe(false)
  middle.subtract(Extent.of(Y.mergeUpdates(updates)))
  expect(middle.isEmpty).toBe(true)
})
