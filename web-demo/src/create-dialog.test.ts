import { expect, test } from 'vitest'

import { suggestion } from './create-dialog.js'

test('the name that is suggested is one that may be written', () => {
  expect(suggestion(['notes', 'team/*/plan'])).toMatch(/^team\/[^*/]+\/plan$/)
  expect(suggestion(['notes'])).toBe('notes')
  for (const writable of [null, ['**'], ['team/**', '**']]) {
    expect(suggestion(writable)).toMatch(/^[^*/]+, /)
  }
})
