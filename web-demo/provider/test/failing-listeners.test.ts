import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'

import { type CollabDocument, Connection } from '../src/index.js'
import { Session } from '../src/session.js'
import { TIMINGS } from '../src/timings.js'
import { Wire } from './wire.js'

// What others listen for in a document may fail: the copy on the device, for one, whose database a
// browser closes under it. Yjs then calls no listener after it, and never one again.

let wire: Wire
let connection: Connection
let doc: Y.Doc
let document: CollabDocument

beforeEach(async () => {
  vi.useFakeTimers()
  wire = new Wire()
  doc = new Y.Doc()
  doc.on('update', (_update, origin) => {
    if (origin === 'typing') throw new Error('the database is closed')
  })
  connection = new Connection({
    url: 'http://server.test',
    WebSocket: wire.WebSocket,
    transports: ['websocket'],
  })
  document = connection.open('a', { doc })
  await pass()
})

afterEach(() => {
  connection.destroy() // Listeners that fail hear of it, and are reported once more.
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

/** Lets everything happen that happens within so long. */
const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

const content = (of: Y.Doc): Y.Text => of.getText('content')

/** Types, where a listener before the provider's fails; tells what of it reached the page. */
function type(text: string): void {
  try {
    doc.transact(() => content(doc).insert(content(doc).length, text), 'typing')
  } catch {
    // The page hears of it, as of all that its own code throws.
  }
}

test('what is typed is sent all the same, and is saved only then', async () => {
  const told: boolean[] = []
  document.on('saved', (saved) => told.push(saved))
  type('first')
  await pass()
  expect(content(wire.docOf('a')).toString()).toBe('first')
  type(', second')
  await pass()
  doc.transact(() => content(doc).delete(0, 1))
  await pass()
  expect(content(wire.docOf('a')).toString()).toBe('irst, second')
  expect([document.saved, document.pendingChanges]).toEqual([true, 0])
  expect(told).toEqual([false, true, false, true, false, true])
})

test('what is typed while there is no connection waits for one', async () => {
  connection.disconnect()
  type('away')
  await pass()
  expect([document.saved, document.pendingChanges]).toEqual([false, 1])
  connection.connect()
  await pass()
  expect([content(wire.docOf('a')).toString(), document.saved]).toEqual(['away', true])
})

test('what changes nothing has nobody asked anything', async () => {
  const before = wire.last.said.length
  content(doc).insert(0, 'x')
  doc.transact(() => undefined)
  doc.transact(() => content(doc).insert(0, 'y'))
  await pass()
  expect(wire.last.said.slice(before)).toHaveLength(2)
})

test('listeners of the connection and of a document that fail stop neither', async () => {
  const reported = vi.fn()
  vi.stubGlobal('reportError', reported)
  const fail = (): never => {
    throw new Error('cannot be drawn')
  }
  connection.on('status', fail)
  document.on('status', fail)
  const heard: boolean[] = []
  document.on('saved', (saved) => heard.push(saved))
  connection.disconnect()
  content(doc).insert(0, 'away')
  connection.connect()
  await pass()
  expect([document.status, document.saved, heard]).toEqual(['connected', true, [false, true]])
  expect(reported).toHaveBeenCalled()
})

test('what the server has is here although a listener fails for it', () => {
  const theirs = new Y.Doc()
  content(theirs).insert(0, 'theirs')
  const own = new Y.Doc()
  own.on('update', () => {
    throw new Error('cannot be shown')
  })
  const changes = vi.fn()
  const session = new Session({
    name: 'a',
    address: 'a',
    doc: own,
    awareness: new Awareness(own),
    getToken: null,
    loaded: null,
    timings: TIMINGS,
    send: () => undefined,
    onchange: changes,
    onmessage: () => undefined,
  })
  const update = Y.encodeStateAsUpdate(theirs)
  expect(() => session.receive({ type: 'step2', update })).toThrow('cannot be shown')
  expect([session.isSynced, content(own).toString(), changes.mock.calls.length]).toEqual([true, 'theirs', 1])
  own.destroy()
})
