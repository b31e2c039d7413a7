// @vitest-environment jsdom
import { expect, test } from 'vitest'

import { Kept } from './kept.js'

test('what is kept is there for whoever asks the browser again, until it is let go of', () => {
  new Kept(() => localStorage).set('color', 'teal')
  expect(new Kept(() => localStorage).get('color')).toBe('teal')
  new Kept(() => localStorage).set('color', null)
  expect(new Kept(() => localStorage).get('color')).toBeNull()
})

test('where the browser keeps nothing the page remembers', () => {
  const kept = new Kept(() => {
    throw new DOMException('cookies are blocked', 'SecurityError')
  })
  expect(kept.get('color')).toBeNull()
  kept.set('color', 'teal')
  expect(kept.get('color')).toBe('teal')
  kept.set('color', null)
  expect(kept.get('color')).toBeNull()
})

test('what there was no room for counts, and not what was kept before', () => {
  const kept = new Kept(() => localStorage)
  kept.set('unsent', 'a')
  kept.set('unsent', 'x'.repeat(20_000_000))
  expect([kept.get('unsent')?.length, localStorage.getItem('unsent')]).toEqual([20_000_000, 'a'])
  kept.set('unsent', 'b')
  expect([kept.get('unsent'), localStorage.getItem('unsent')]).toEqual(['b', 'b'])
})
