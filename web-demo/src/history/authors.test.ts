import { expect, test } from 'vitest'

import { PALETTE } from '../colors.js'
import { readUser } from '../identity.js'
import { Authors, type Person } from './authors.js'

const ada: Person = { id: null, name: 'Ada', color: '#0b7a6f' }
const known: Person = { id: 'ada', name: 'Ada Lovelace', color: '#a3458f' }

test('a claimed name is never taken for somebody whom the server knows', () => {
  const authors = new Authors(() => [{ ...known, name: 'Ada' }])
  const claimed = authors.describe('~Ada')
  expect(claimed).toMatchObject({ name: 'Ada', isKnown: false })
  expect(claimed.color).not.toBe(known.color)
})

test('people who are here have the colour they chose, and the name the server vouches for', () => {
  const authors = new Authors(() => [ada, known])
  expect(authors.describe('~Ada')).toEqual({ name: 'Ada', color: ada.color, isKnown: false })
  expect(authors.describe('ada')).toEqual({ name: 'Ada Lovelace', color: known.color, isKnown: true })
})

test('somebody whose long name is cut off where they are shown is who wrote under the whole of it', () => {
  const long = `${'Ada Lovelace, '.repeat(2)}Countess 😀😀😀😀😀`
  const { name } = readUser({ user: { name: long } }, 1)
  expect(name.length).toBeLessThan(long.length)
  const authors = new Authors(() => [{ ...ada, name }])
  expect(authors.describe(`~${long}`)).toEqual({ name, color: ada.color, isKnown: false })
})

test('people who have left keep the name and the colour that they were seen with', () => {
  let here: Person[] = [ada, known]
  const authors = new Authors(() => here)
  const [claimed, vouched] = [authors.describe('~Ada'), authors.describe('ada')]
  here = []
  expect([authors.describe('~Ada'), authors.describe('ada')]).toEqual([claimed, vouched])
  here = [{ ...ada, color: '#3f6bc4' }]
  expect(authors.describe('~Ada').color).toBe('#3f6bc4')
})

test('people who are away have a colour each, always the same, and nobody else’s', () => {
  const authors = new Authors(() => [ada])
  const names = ['~a', '~b', '~c', '~d', '~e', '~f', '~g', '~h', '~i']
  const colors = names.map((name) => authors.describe(name).color)
  expect(new Set([...colors, ada.color]).size).toBe(PALETTE.length)
  expect(names.map((name) => authors.describe(name).color)).toEqual(colors)
  expect(PALETTE).toContain(authors.describe('~one too many').color)
})

test('who gave no name is somebody', () => {
  expect(new Authors(() => []).describe(null)).toMatchObject({ name: 'Somebody', isKnown: false })
})
