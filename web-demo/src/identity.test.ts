import { expect, test } from 'vitest'

import { PALETTE } from './colors.js'
import { ANIMALS, cleanName, readUser } from './identity.js'

test.each([
  ['Ada', 'Ada'],
  ['  Ada\tLovelace\u0000 ', 'Ada Lovelace'],
  ['\n', 'Guest'],
  ['', 'Guest'],
  ['A'.repeat(41), 'A'.repeat(40)],
  [`${'A'.repeat(39)}😀`, 'A'.repeat(39)],
])('%j is called %j: no name keeps anybody from connecting', (given, called) => {
  expect(cleanName(given)).toBe(called)
})

test('what a name is called that is published already does not change when it is read', () => {
  const name = cleanName(`${'A'.repeat(37)}  é😀 more`)
  expect(readUser({ user: { name } }, 1).name).toBe(name)
})

test('guests who share a name by chance have different colours as a rule', () => {
  const draws = Array.from({ length: 1_000 }, (_, draw) => draw)
  const seen = new Set(draws.map((draw) => `${draw % ANIMALS.length} ${draw % PALETTE.length}`))
  expect(seen.size).toBe(ANIMALS.length * PALETTE.length)
  expect(new Set(ANIMALS).size).toBeGreaterThan(40)
})
