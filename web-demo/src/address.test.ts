import { expect, test } from 'vitest'

import { documentAddress, nameFault } from './address.js'

test('an address keeps every character of a name', () => {
  const name = 'notes/2026 & plans?é=1#x+y'
  expect(new URLSearchParams(documentAddress(name)).get('doc')).toBe(name)
})

test('names are judged as the server does', () => {
  expect(nameFault('')).toMatch('needs a name')
  expect(nameFault('a\nb')).toMatch('control')
  expect(nameFault('é'.repeat(256))).toBeNull()
  expect(nameFault('é'.repeat(256) + 'a')).toMatch('513')
})
