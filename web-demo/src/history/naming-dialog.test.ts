import { expect, test } from 'vitest'

import { versionFault } from './naming-dialog.js'

test('names that the server refuses are refused before it is asked', () => {
  expect(versionFault('')).toMatch('needs a name')
  for (const name of ['42', '２０', '2026-11-23', '2026-11-23T10:00:00Z', 'é'.repeat(101)]) {
    expect(versionFault(name), name).toMatch('neither as a number')
  }
  for (const name of ['v42', '2026-11-23, sent', 'Sent', 'é'.repeat(100)]) {
    expect(versionFault(name), name).toBeNull()
  }
})
