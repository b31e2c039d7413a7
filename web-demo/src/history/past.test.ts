// @vitest-environment jsdom
import { afterEach, expect, test } from 'vitest'

import { addressOf } from '../request.js'
import { Past } from './past.js'

afterEach(() => document.head.replaceChildren())

test('addresses lie below the page, wherever it is mounted, whatever the document is called', () => {
  const base = document.createElement('base')
  base.href = 'https://host.test/some/prefix/'
  document.head.append(base)
  const past = new Past('team/plan ?', 'content', () => 'Ada')
  const address = 'https://host.test/some/prefix/api/docs/team%2Fplan%20%3F'
  expect(addressOf(past.events).href).toBe(`${address}/events`)
})
