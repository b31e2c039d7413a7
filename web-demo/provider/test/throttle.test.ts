import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { Throttle } from '../src/throttle.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('the first wish is met at once, those after it together at the end of the rest', () => {
  let runs = 0
  const throttle = new Throttle(50, () => (runs += 1))
  throttle.ask()
  expect(runs).toBe(1)
  throttle.ask()
  throttle.ask()
  expect(runs).toBe(1)
  vi.advanceTimersByTime(50)
  expect(runs).toBe(2)
  vi.advanceTimersByTime(500)
  expect(runs).toBe(2)
  throttle.ask()
  expect(runs).toBe(3)
})

test('a wish that was cancelled is not met', () => {
  let runs = 0
  const throttle = new Throttle(50, () => (runs += 1))
  throttle.ask()
  throttle.ask()
  throttle.cancel()
  vi.advanceTimersByTime(500)
  expect([runs, vi.getTimerCount()]).toEqual([1, 0])
})
