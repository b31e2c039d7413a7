// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { Connection } from '../src/index.js'
import { Wire } from './wire.js'

// What the browser says of the network and the tab, and what a connection makes of it.

let wire: Wire
let connection: Connection

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
  wire = new Wire()
  connection = new Connection({
    url: 'http://server.test',
    WebSocket: wire.WebSocket,
    transports: ['websocket'],
  })
})

afterEach(() => {
  connection.destroy()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** Lets everything happen that happens within so long. */
const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

const say = (target: EventTarget, event: string): boolean => target.dispatchEvent(new Event(event))

/** Has the browser be sure that there is a network, or that there is none. */
function setOnline(isOnline: boolean): void {
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(isOnline)
  say(window, isOnline ? 'online' : 'offline')
}

function setVisible(isVisible: boolean): void {
  const shown = isVisible ? 'visible' : 'hidden'
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(shown)
  say(document, 'visibilitychange')
}

/** Waits for the server in vain, until the next attempt is seconds away; gives their number. */
async function waitInVain(): Promise<number> {
  wire.isReachable = false
  connection.open('a')
  await pass(10_000)
  const attempts = wire.sockets.length
  await pass(1)
  expect(wire.sockets).toHaveLength(attempts)
  wire.isReachable = true
  return attempts
}

test.each([
  ['the browser comes online', () => setOnline(true)],
  ['the tab is shown', () => setVisible(true)],
  ['the page comes back from the cache', () => void say(window, 'pageshow')],
])('when %s the next attempt is made at once', async (_what, happen) => {
  const attempts = await waitInVain()
  happen()
  await pass()
  expect([wire.sockets.length, connection.status]).toEqual([attempts + 1, 'connected'])
})

test('a tab that is hidden makes no attempt', async () => {
  const attempts = await waitInVain()
  setVisible(false)
  await pass()
  expect([wire.sockets.length, connection.status]).toEqual([attempts, 'reconnecting'])
})

test('waits begin anew when the browser comes online', async () => {
  const attempts = await waitInVain()
  wire.isReachable = false
  setOnline(true)
  await pass(99)
  expect(wire.sockets).toHaveLength(attempts + 1)
  await pass(1)
  expect(wire.sockets).toHaveLength(attempts + 2)
})

test('a server that asked for a wait gets it, whatever the browser says', async () => {
  connection.open('a')
  await pass()
  wire.last.end(1013)
  setOnline(true)
  setVisible(true)
  await pass(1_999)
  expect(wire.sockets).toHaveLength(1)
  await pass(101)
  expect([wire.sockets.length, connection.status]).toEqual([2, 'connected'])
})

test('a browser that goes offline says so at once, keeps what is written, and sends it online', async () => {
  const a = connection.open('a')
  await pass()
  wire.isReachable = false
  setOnline(false)
  expect([a.status, wire.sockets[0]!.readyState]).toEqual(['offline', 3])
  a.doc.getText('content').insert(0, 'kept')
  await pass(60_000)
  expect([a.status, a.saved, a.pendingChanges]).toEqual(['offline', false, 1])
  wire.isReachable = true
  setOnline(true)
  await pass()
  expect([a.status, a.saved, a.pendingChanges]).toEqual(['connected', true, 0])
  expect(wire.docOf('a').getText('content').toString()).toBe('kept')
})

test('an open connection that is woken stays as it is', async () => {
  connection.open('a')
  await pass()
  setVisible(true)
  setOnline(true)
  await pass(5_000)
  expect([wire.sockets.length, wire.last.readyState]).toEqual([1, 1])
})

test.each([
  ['the browser comes online', () => setOnline(true)],
  ['the tab is shown', () => setVisible(true)],
])('when %s a connection that has died unnoticed is replaced within seconds', async (_what, happen) => {
  const a = connection.open('a')
  await pass(10_000)
  wire.isSilent = true
  a.doc.getText('content').insert(0, 'kept')
  happen()
  await pass(4_999)
  expect(wire.sockets).toHaveLength(1)
  wire.isSilent = false
  await pass(101)
  expect([wire.sockets.map(({ readyState }) => readyState), a.saved]).toEqual([[3, 1], true])
})
