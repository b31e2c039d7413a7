import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { CollabRoot, useCollab, usePresence } from '../src/react/index.js'
import { Wire } from './wire.js'

// Without a window: what is drawn here goes to a browser, which draws the same before it connects.

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

function Notes(): string {
  const { status, saved, doc } = useCollab('notes')
  const { others } = usePresence('notes')
  return `${status} ${saved} ${doc.getText('content').length} ${others.length}`
}

test('on a server a document is drawn as it is before it is connected, and nothing connects', async () => {
  const wire = new Wire()
  const prepare = vi.fn(async () => undefined)
  const html = renderToString(
    <CollabRoot url="http://server.test" WebSocket={wire.WebSocket} prepare={prepare}>
      <Notes />
    </CollabRoot>,
  )
  expect(html).toBe('connecting false 0 0')
  await vi.advanceTimersByTimeAsync(60_000)
  expect([wire.sockets.length, prepare.mock.calls.length, vi.getTimerCount()]).toEqual([0, 0, 0])
})
