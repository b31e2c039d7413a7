import { expect, test } from 'vitest'

import { Ladder } from '../src/ladder.js'

test('where WebSockets never worked, one that fails is enough to fall back', () => {
  const ladder = new Ladder(10_000, 300_000)
  expect(ladder.fallsBack).toBe(false)
  ladder.failed()
  expect(ladder.fallsBack).toBe(true)
})

test('where they have worked, three in a row must fail', () => {
  const ladder = new Ladder(10_000, 300_000)
  ladder.worked()
  ladder.failed()
  ladder.failed()
  expect(ladder.fallsBack).toBe(false)
  ladder.failed()
  expect(ladder.fallsBack).toBe(true)
})

test('where nothing gets through, the two take turns', () => {
  const ladder = new Ladder(10_000, 300_000)
  ladder.worked()
  for (let turn = 0; turn < 3; turn += 1) ladder.failed()
  for (let turn = 0; turn < 3; turn += 1) {
    expect(ladder.fallsBack).toBe(true)
    ladder.fellThrough()
    expect(ladder.fallsBack).toBe(false)
    ladder.failed()
  }
})

test('climbs become rarer while they fail, and are frequent again on another network', () => {
  const ladder = new Ladder(10_000, 60_000)
  const waits = [0, 1, 2, 3].map(() => {
    const { climbMs } = ladder
    ladder.slipped()
    return climbMs
  })
  expect(waits).toEqual([10_000, 20_000, 40_000, 60_000])
  ladder.forget()
  expect(ladder.climbMs).toBe(10_000)
  ladder.worked()
  expect(ladder.climbMs).toBe(1_000)
})
