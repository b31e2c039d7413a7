import { expect, test } from 'vitest'

import { marksOf } from './hunks.js'

test('marks lie where the editor counts, also behind what takes two units', () => {
  const text = '😀 one 😀😀 two'
  const marks = marksOf(
    [
      { start_after: 2, removed: 'an', inserted: 'one' },
      { start_after: 8, removed: '', inserted: ' two' },
    ],
    text,
  )
  expect(marks.map(({ from, to }) => text.slice(from, to))).toEqual(['one', ' two'])
  expect(marks.map(({ removed }) => removed)).toEqual(['an', ''])
})

test('what was only deleted is a place without width', () => {
  expect(marksOf([{ start_after: 3, removed: ' gone', inserted: '' }], 'all')).toEqual([
    { from: 3, to: 3, removed: ' gone' },
  ])
})
