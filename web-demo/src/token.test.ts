// @vitest-environment jsdom
import { afterEach, expect, test } from 'vitest'

import { cleanToken, keepToken, keptToken, takeLinkedToken } from './token.js'

afterEach(() => {
  sessionStorage.clear()
  localStorage.clear()
  document.head.replaceChildren()
  history.replaceState(null, '', '/')
})

test('a token in the fragment is kept, and gone from the address, which stays the same otherwise', () => {
  history.replaceState({ at: 1 }, '', '/?doc=team%2Fplan#token=eyJ.a-b_c.d')
  expect(takeLinkedToken()).toBe(true)
  expect(keptToken()).toBe('eyJ.a-b_c.d')
  expect([location.search, location.hash, history.state]).toEqual(['?doc=team%2Fplan', '', { at: 1 }])
  expect(localStorage.length).toBe(0)
})

test('what else the fragment says stays there', () => {
  history.replaceState(null, '', '/#line=3&token=abc')
  takeLinkedToken()
  expect(location.hash).toBe('#line=3')
})

test.each(['/', '/#text', '/?token=abc'])('%s brings no token, and the one there is stays', (address) => {
  keepToken('before')
  history.replaceState(null, '', address)
  expect(takeLinkedToken()).toBe(false)
  expect(keptToken()).toBe('before')
  expect(location.pathname + location.search + location.hash).toBe(address)
})

test('servers at different paths of one host have a token each', () => {
  const base = document.createElement('base')
  base.href = `${location.origin}/one/`
  document.head.append(base)
  keepToken('of one')
  base.href = `${location.origin}/two/`
  expect(keptToken()).toBeNull()
})

test.each(['  a.b.c\n', 'a.b\n  .c', 'Bearer a.b.c', 'bearer  a.b.c '])('%j is pasted for a.b.c', (pasted) => {
  expect(cleanToken(pasted)).toBe('a.b.c')
})
