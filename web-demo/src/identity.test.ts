import { expect, test } from 'vitest'

import { cleanName } from './identity.js'

test.each([
  ['Ada', 'Ada'],
  ['  Ada\tLovelace\u0000 ', 'Ada Lovelace'],
  ['\n', 'Guest'],
  ['', 'Guest'],
])('%j is called %j: no name keeps anybody from connecting', (given, called) => {
  expect(cleanName(given)).toBe(called)
})
