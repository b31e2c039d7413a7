import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import * as Y from 'yjs'

import { Connection, type ConnectionOptions, DocumentOpen, Ended } from '../src/index.js'
import type { WebSocketClass } from '../src/socket.js'
import { Wire } from './wire.js'

let wire: Wire
let connections: Connection[]

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
  wire = new Wire()
  connections = []
})

afterEach(() => {
  for (const connection of connections) connection.destroy()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

function connect(options: Partial<ConnectionOptions> = {}): Connection {
  const connection = new Connection({
    url: 'http://server.test/prefix',
    WebSocket: wire.WebSocket,
    transports: ['websocket'],
    ...options,
  })
  connections.push(connection)
  return connection
}

/** Lets everything happen that happens within so long. */
const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

test('nothing is connected until a document is open, nor for long after the last one is closed', async () => {
  const connection = connect()
  await pass(1_000)
  expect(wire.sockets).toHaveLength(0)
  const document = connection.open('a')
  expect(connection.status).toBe('connecting')
  await pass()
  expect([connection.status, document.status]).toEqual(['connected', 'connected'])
  document.close()
  await pass(1_000)
  connection.open('b').close()
  await pass(1_999)
  expect(wire.sockets).toHaveLength(1)
  expect(connection.status).toBe('connected')
  await pass(1)
  expect([connection.status, wire.last.readyState]).toEqual(['offline', 3])
  connection.open('a')
  await pass()
  expect(connection.status).toBe('connected')
})

test('a document is open once, and what is destroyed opens none', () => {
  const connection = connect()
  connection.open('a')
  expect(() => connection.open('a')).toThrow(DocumentOpen)
  connection.destroy()
  expect(() => connection.open('b')).toThrow(Ended)
})

test('the name people call themselves is asked for each connection, and says it', async () => {
  let name = 'Ada & Söhne'
  const connection = connect({ getName: () => name })
  connection.open('a')
  await pass()
  expect(new URL(wire.last.url).searchParams.get('name')).toBe('Ada & Söhne')
  name = ''
  connection.disconnect()
  connection.connect()
  await pass()
  expect(wire.last.url).toBe('ws://server.test/prefix/hocuspocus')
})

test('waits grow with each attempt that fails, up to a bound', async () => {
  wire.isReachable = false
  connect().open('a')
  const waits: number[] = []
  for (let attempt = 1; attempt <= 8; attempt += 1) {
    await pass()
    const since = Date.now()
    while (wire.sockets.length === attempt) await pass(50)
    waits.push(Date.now() - since)
  }
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
})

test.each([
  [1006, 100],
  [1012, 100],
  [1013, 2_100],
  [4429, 2_100],
])('after close code %i the next attempt comes within %i ms', async (code, ms) => {
  connect().open('a')
  await pass()
  wire.last.end(code)
  await pass(ms - 1)
  expect(wire.sockets).toHaveLength(1)
  await pass(1)
  expect(wire.sockets).toHaveLength(2)
})

test.each([4403, 4404])('close code %i of the connection ends it, until a document is reopened', async (code) => {
  const connection = connect()
  const documents = [connection.open('a'), connection.open('b')]
  await pass()
  wire.last.end(code, 'judged')
  await pass(60_000)
  expect(documents.map(({ refusal }) => refusal)).toEqual(Array(2).fill({ code, reason: 'judged' }))
  expect([wire.sockets.length, connection.status, documents[0]!.status]).toEqual([1, 'offline', 'refused'])
  documents[0]!.reopen()
  await pass()
  expect(documents.map(({ status }) => status)).toEqual(['connected', 'refused'])
})

test.each([1008, 1009, 4400])('close code %i ends the attempts at the third time in a row', async (code) => {
  const document = connect().open('a')
  for (let time = 1; time <= 3; time += 1) {
    expect(document.refusal).toBe(null)
    await pass(10_000)
    wire.last.end(code)
  }
  await pass(60_000)
  expect([wire.sockets.length, document.refusal?.code]).toEqual([3, code])
})

test.each([4403, 4404])('code %i for a document is for that document alone', async (code) => {
  const connection = connect()
  const [a, b] = [connection.open('a'), connection.open('b')]
  await pass()
  wire.last.closeDocument('a', code, 'gone')
  expect([a.status, a.refusal, b.status]).toEqual(['refused', { code, reason: 'gone' }, 'connected'])
  await pass(60_000)
  expect(wire.sockets[0]!.said.filter(([name, type]) => name === 'a' && type === 2)).toHaveLength(1)
  a.reopen()
  await pass()
  expect([a.status, a.synced]).toEqual(['connected', true])
})

test('a token that is refused is replaced once, and a second refusal stands', async () => {
  wire.judge = (_document, token) => (token === 't2' ? undefined : 4401)
  let given = 0
  const a = connect({ getToken: () => `t${(given += 1)}` }).open('a')
  await pass()
  expect([a.status, wire.tokens]).toEqual(['connected', ['t1', 't2']])
  wire.judge = () => 4401
  wire.last.closeDocument('a', 4401)
  await pass(200) // It was let in just now.
  expect([a.status, wire.tokens]).toEqual(['refused', ['t1', 't2', 't3']])
})

test('where no token is to be had, 4401 refuses', async () => {
  wire.judge = () => 4401
  const a = connect().open('a')
  await pass()
  expect([a.status, a.refusal?.code, wire.tokens]).toEqual(['refused', 4401, ['']])
})

test.each([4401, 4500])('close code %i has every document bring another token', async (code) => {
  let given = 0
  const connection = connect({ getToken: (name) => `${name}${(given += 1)}` })
  const documents = [connection.open('a'), connection.open('b')]
  await pass()
  wire.last.end(code)
  await pass(100)
  expect(documents.map(({ status }) => status)).toEqual(['connected', 'connected'])
  expect(wire.tokens).toEqual(['a1', 'b2', 'a3', 'b4'])
})

test('an ordinary cut brings the same token again', async () => {
  let given = 0
  connect({ getToken: () => `t${(given += 1)}` }).open('a')
  await pass()
  wire.last.end(1006)
  await pass(100)
  expect(wire.tokens).toEqual(['t1', 't1'])
})

test('a token that the server asks for is brought without a break', async () => {
  let given = 0
  const a = connect({ getToken: () => `t${(given += 1)}` }).open('a')
  await pass()
  wire.last.askToken('a')
  await pass()
  expect([wire.tokens, a.synced, wire.sockets.length]).toEqual([['t1', 't2'], true, 1])
})

test('a document that is opened again is synced by the answer to its own question', async () => {
  const known = new Y.Doc()
  known.getText().insert(0, 'kept')
  Y.applyUpdate(wire.docOf('a'), Y.encodeStateAsUpdate(known))
  wire.isPrompt = false
  const connection = connect()
  connection.open('a', { doc: known })
  await pass()
  connection.documents.get('a')!.close()
  const again = connection.open('a')
  const synced: string[] = []
  again.on('synced', () => synced.push(again.doc.getText().toString()))
  await pass()
  wire.last.deliver()
  expect(synced).toEqual(['kept'])
})

test('what the server says to who has closed a document refuses nobody who opens it again', async () => {
  const connection = connect()
  connection.open('a')
  await pass()
  for (let times = 0; times < 3; times += 1) {
    const addressed = wire.last.said.at(-1)![0]
    connection.documents.get('a')!.close()
    const again = connection.open('a')
    await pass()
    wire.last.closeDocument(addressed, 4404, 'it was deleted')
    expect([again.status, again.synced, again.refusal]).toEqual(['connected', true, null])
  }
  wire.last.end(1006)
  connection.documents.get('a')!.close()
  connection.open('a')
  await pass(1_000)
  expect(wire.last.said[0]![0]).toBe('a')
})

test('a question for another token, put to who had the document open before, changes nothing', async () => {
  const giving: ((token: string) => void)[] = []
  const connection = connect({ getToken: () => new Promise((resolve) => giving.push(resolve)) })
  connection.open('a')
  await pass()
  giving[0]!('first')
  await pass()
  connection.documents.get('a')!.close()
  const a = connection.open('a')
  wire.last.askToken('a') // It was on its way.
  for (const give of giving.slice(1)) give('second')
  await pass()
  expect([a.status, a.synced, wire.tokens]).toEqual(['connected', true, ['first', 'second']])
})

test('where tokens cannot be had for a while, they are asked for again', async () => {
  let asked = 0
  const getToken = (): string => {
    asked += 1
    if (asked < 4) throw new Error('out of reach')
    return 'good'
  }
  const a = connect({ getToken }).open('a')
  await pass(100 + 200)
  expect([asked, a.status]).toEqual([3, 'connecting'])
  await pass(400)
  expect([asked, a.status, wire.tokens]).toEqual([4, 'connected', ['good']])
})

test('a token that comes after the connection was lost is not used on the next one too early', async () => {
  const giving: ((token: string) => void)[] = []
  const a = connect({ getToken: () => new Promise((resolve) => giving.push(resolve)) }).open('a')
  await pass()
  wire.last.end(1006)
  await pass(100)
  giving[0]!('stale')
  await pass()
  expect(wire.tokens).toEqual([])
  giving[1]!('fresh')
  await pass()
  expect([wire.tokens, a.status]).toEqual([['fresh'], 'connected'])
})

test('what a copy on the device holds comes before the server is asked', async () => {
  const doc = new Y.Doc()
  let load: () => void = () => undefined
  const loaded = new Promise<void>((resolve) => (load = resolve))
  const a = connect().open('a', { doc, loaded })
  await pass(5_000)
  expect([wire.tokens, a.saved]).toEqual([[], false])
  doc.getText('content').insert(0, 'kept')
  load()
  await pass()
  expect([a.saved, wire.docOf('a').getText('content').toString()]).toEqual([true, 'kept'])
})

test('a server that is silent is given up, and one that does not answer at all too', async () => {
  const connection = connect()
  connection.open('a')
  await pass(29_000)
  expect(wire.sockets).toHaveLength(1)
  await pass(5_000)
  expect([wire.sockets.length, connection.status]).toEqual([2, 'connected'])
})

test('a machine that slept looks at its connection at once', async () => {
  const connection = connect()
  connection.open('a')
  await pass(3_000)
  vi.setSystemTime(Date.now() + 3_600_000)
  await pass(3_000)
  await pass(100)
  expect([wire.sockets.length, connection.status]).toEqual([2, 'connected'])
})

test('a server that is silent is given up also where the clock was set back', async () => {
  const connection = connect()
  connection.open('a')
  await pass(3_000)
  vi.setSystemTime(Date.now() - 3_600_000)
  await pass(29_000)
  expect(wire.sockets).toHaveLength(1)
  await pass(6_000)
  expect([wire.sockets.length, connection.status]).toEqual([2, 'connected'])
})

test('a frame that is none ends the connection, which comes back', async () => {
  const connection = connect()
  connection.open('a')
  await pass()
  wire.last.onmessage?.({ data: Uint8Array.of(200).buffer })
  expect([connection.status, wire.last.readyState]).toEqual(['reconnecting', 3])
  await pass(100)
  expect(connection.status).toBe('connected')
})

test('disconnected, documents wait until it connects again', async () => {
  const connection = connect()
  const a = connection.open('a')
  await pass()
  connection.disconnect()
  a.doc.getText('content').insert(0, 'later')
  await pass(60_000)
  expect([a.status, a.pendingChanges, wire.sockets.length]).toEqual(['offline', 1, 1])
  connection.connect()
  await pass()
  expect([a.saved, wire.docOf('a').getText('content').toString()]).toEqual([true, 'later'])
})

test('events tell each change once, and progress is the same object until then', async () => {
  const a = connect().open('a')
  const told: unknown[] = []
  for (const event of ['status', 'synced', 'saved', 'pending'] as const) {
    a.on(event, (value: unknown) => told.push([event, value]))
  }
  await pass()
  expect(told).toEqual([['status', 'connected'], ['saved', true], ['synced', true]])
  const before = a.progress
  await pass(10_000)
  expect(a.progress).toBe(before)
})

test('what is destroyed leaves no timer and no listener', async () => {
  const doc = new Y.Doc()
  const connection = connect()
  connection.open('a', { doc })
  await pass()
  connection.destroy()
  expect(['beforeTransaction', 'update'].filter((event) => doc._observers.has(event))).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})

test.each([
  ['closed', 1006],
  ['closed with its token expired', 4500],
])('a document that is let in and %s each time is asked for ever more rarely', async (_what, code) => {
  const getToken = vi.fn(() => 'good')
  wire.judge = () => {
    setTimeout(() => wire.last.closeDocument('a', code), 1)
    return undefined
  }
  connect({ getToken }).open('a')
  await pass(60_000)
  expect(wire.tokens.length).toBeGreaterThan(10)
  expect(wire.tokens.length).toBeLessThan(20)
})

test('a document that was in for a while comes back at once', async () => {
  const document = connect({ getToken: () => 'good' }).open('a')
  await pass()
  for (let time = 1; time <= 5; time += 1) {
    await pass(5_000)
    wire.last.closeDocument('a', 4500)
    await pass()
    expect([document.status, wire.tokens.length]).toEqual(['connected', time + 1])
  }
})

test('where the browser forbids WebSockets by an exception the fallback is used', async () => {
  const asked: string[] = []
  const connection = connect({
    transports: ['websocket', 'stream'],
    WebSocket: class {
      constructor() {
        throw new DOMException('refused by the content security policy', 'SecurityError')
      }
    } as unknown as WebSocketClass,
    fetch: (url) => {
      asked.push(String(url))
      return new Promise(() => undefined)
    },
  })
  connection.open('a')
  await pass(1_000)
  expect(asked).toEqual(['http://server.test/prefix/sse'])
})

test.each(['disconnect', 'destroy'] as const)('%s() as soon as it is connected is the end of it', async (end) => {
  const connection = connect()
  connection.on('status', (status) => {
    if (status === 'connected') connection[end]()
  })
  connection.open('a')
  await pass(60_000)
  expect([connection.status, wire.sockets.map(({ readyState }) => readyState)]).toEqual(['offline', [3]])
})

test('a document that is as large as one may be says so until the server takes what it refused', async () => {
  const document = connect().open('a')
  const told: boolean[] = []
  document.on('full', (full) => told.push(full))
  const text = document.doc.getText('content')
  text.insert(0, 'stored')
  await pass()
  wire.isFull = true
  text.insert(6, ' and not')
  await pass()
  expect([document.full, document.saved, document.pendingChanges]).toEqual([true, false, 1])
  wire.last.end(1006)
  expect(document.full).toBe(false) // Nobody knows.
  await pass(100)
  expect([document.full, document.saved, document.pendingChanges]).toEqual([true, false, 1])
  wire.isFull = false
  wire.last.end(1006)
  await pass(200)
  expect([document.full, document.saved, document.pendingChanges]).toEqual([false, true, 0])
  expect(told).toEqual([true, false, true, false])
})

test.each([1006, 1012])('a server that ends each connection with %i at once is tried ever more rarely', async (code) => {
  const connection = connect()
  connection.on('transport', (kind) => {
    if (kind !== null) queueMicrotask(() => wire.last.end(code))
  })
  connection.open('a')
  await pass(60_000)
  expect(wire.sockets.length).toBeGreaterThan(10)
  expect(wire.sockets.length).toBeLessThan(20)
})

test('what a full document has refused is sent anew, ever more rarely until something changes', async () => {
  const document = connect({ timings: { silenceMs: 1e9 } }).open('a')
  const text = document.doc.getText('content')
  await pass()
  wire.isFull = true
  text.insert(0, 'and more')
  const sentWithin = async (ms: number): Promise<number> => {
    const before = wire.last.said.length
    await pass(ms)
    return wire.last.said.length - before
  }
  expect(await sentWithin(3_600_000)).toBeLessThan(60)
  text.insert(0, 'and ')
  expect(await sentWithin(5_001)).toBeGreaterThan(1)
  wire.isFull = false
  await pass(10_000)
  expect([document.full, document.saved, document.pendingChanges]).toEqual([false, true, 0])
  expect(wire.docOf('a').getText('content').toString()).toBe('and and more')
  expect(await sentWithin(3_600_000)).toBe(0)
})
