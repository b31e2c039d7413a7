import { expect, test } from 'vitest'

import { explain } from './request.js'

test.each([0, 400, 401, 403, 404, 409, 410, 500, 503])('status %i is told in words', (status) => {
  expect(explain(status)).toMatch(/^[A-Z].*\.$/)
  expect(explain(status)).not.toMatch(/\d/)
})
