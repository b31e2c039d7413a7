import { expect, test } from 'vitest'

import { backoffMs } from '../src/backoff.js'

test('waits grow from the base to the cap, and jitter spreads them down to nothing', () => {
  const longest = [0, 1, 2, 5, 6, 100].map((attempt) => backoffMs(attempt, 100, 5_000, 1))
  expect(longest).toEqual([100, 200, 400, 3_200, 5_000, 5_000])
  expect(backoffMs(6, 100, 5_000, 0)).toBe(0)
  expect(backoffMs(6, 100, 5_000, 0.5)).toBe(2_500)
})
