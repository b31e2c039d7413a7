import { expect, test } from 'vitest'

import { describeRestore, nameBeforeRestore, restoresIn, shownName } from './restores.js'

const version = (name: string, seq: number) => ({
  name,
  seq,
  created_ms: 0,
  author: '~Ada',
  automatic: false,
})

test('the point before a restore says what the change after it is', () => {
  const name = nameBeforeRestore('Ada (Ockham)', '“First draft (2)”', Date.UTC(2026, 10, 23, 14))
  expect(restoresIn([version(name, 7), version('Sent', 8), version('Before we restored it', 9)])).toEqual(
    new Map([[8, { author: '~Ada', what: '“First draft (2)”' }]]),
  )
  expect(shownName(name)).toBe('Before Ada (Ockham) restored “First draft (2)”')
  expect(shownName('Sent (Monday)')).toBe('Sent (Monday)')
})

test('names fit into what the server takes, whoever restores whatever', () => {
  const name = nameBeforeRestore('😀'.repeat(40), '漢'.repeat(200), Date.now())
  expect(new TextEncoder().encode(name).byteLength).toBeLessThanOrEqual(200)
  expect(shownName(name)).toMatch(/^Before 😀+… restored 漢+…$/u)
})

test('what others say of a restore is told in bounds, and nothing else', () => {
  expect(describeRestore({ name: 'Ada', what: '“Sent”' })).toMatch(/^Ada restored “Sent”, for everybody\./)
  expect(describeRestore({ name: 'x'.repeat(10_000), what: 'y'.repeat(10_000) })!.length).toBeLessThan(300)
  for (const other of [null, 'Ada', ['Ada'], { name: 'Ada' }, { name: 1, what: 2 }]) {
    expect(describeRestore(other)).toBeNull()
  }
})
