// @vitest-environment jsdom
import { afterEach, expect, test } from 'vitest'

import { Past, explain } from './past.js'

afterEach(() => document.head.replaceChildren())

test('addresses lie below the page, wherever it is mounted, whatever the document is called', () => {
  const base = document.createElement('base')
  base.href = 'https://host.test/some/prefix/'
  document.head.append(base)
  const past = new Past('team/plan ?', 'content', () => 'Ada')
  const address = 'https://host.test/some/prefix/api/docs/team%2Fplan%20%3F'
  expect(past.events.href).toBe(`${address}/events`)
  expect(past.download.href).toBe(`${address}/content?format=text&root=content`)
})

test.each([0, 400, 401, 403, 404, 409, 410, 500, 503])('status %i is told in words', (status) => {
  expect(explain(status)).toMatch(/^[A-Z].*\.$/)
  expect(explain(status)).not.toMatch(/\d/)
})
