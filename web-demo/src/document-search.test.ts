import { expect, test } from 'vitest'

import { finds } from './document-search.js'

test('a name is found by its words in any order and case', () => {
  const name = 'Team Ünits/Meeting notes ＡＢＣ straße'
  for (const search of ['', ' ', 'meeting', 'NOTES  meet', 'u\u0308nits', 'units', 'abc', 'STRASSE', 'ts/mee']) {
    expect(finds(search, name), search).toBe(true)
  }
  for (const search of ['meetings', 'notes minutes', 'b c d']) expect(finds(search, name), search).toBe(false)
})
