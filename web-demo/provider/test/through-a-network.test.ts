import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { WebSocket as NodeWebSocket } from 'ws'
import * as Y from 'yjs'

import { HttpProxy } from '../../../tests/clients/http-proxy.mjs'
import {
  type CollabDocument,
  Connection,
  type ConnectionOptions,
  MessageRefused,
  type WebSocketClass,
} from '../src/index.js'
import { Server, tokenFor } from './serving.js'

// A real `collab serve`, behind a proxy like those of offices and hotels.

const WITHIN_MS = 30_000
const TIMINGS = { backoffCapMs: 200, streamMs: 1_500, climbBaseMs: 300, climbCapMs: 300, tryAgainMs: 200 }

let server: Server
let proxy: HttpProxy
let address: string
let connections: Connection[] = []

async function serve(starting: Promise<Server>): Promise<void> {
  server = await starting
  proxy = new HttpProxy({ port: server.port })
  address = `http://127.0.0.1:${await proxy.open()}`
}

beforeEach(() => void (connections = []))

afterEach(async () => {
  for (const connection of connections) connection.destroy()
  await proxy.close()
  await server.stop()
})

function connect(options: Partial<ConnectionOptions> = {}): Connection {
  const connection = new Connection({
    url: address,
    WebSocket: NodeWebSocket as unknown as WebSocketClass,
    timings: TIMINGS,
    ...options,
  })
  connections.push(connection)
  return connection
}

/** Waits until `check` holds. */
async function until(check: () => boolean): Promise<void> {
  await vi.waitUntil(check, { timeout: WITHIN_MS, interval: 5 })
}

const text = ({ doc }: CollabDocument): Y.Text => doc.getText('content')
const write = (document: CollabDocument, added: string): void =>
  text(document).insert(text(document).length, added)

/** Waits until all have the same text, saved; gives it. */
async function agreed(...documents: CollabDocument[]): Promise<string> {
  const first = text(documents[0]!)
  await until(() =>
    documents.every((each) => each.saved && each.synced && text(each).toString() === first.toString()),
  )
  return first.toString()
}

/** What somebody sees who opens the document now, past the proxy. */
async function read(name: string): Promise<Y.Doc> {
  const reader = connect({ url: server.url }).open(name)
  await until(() => reader.synced)
  return reader.doc
}

test('a document that is opened again at once has all of it when it is synced', { timeout: 60_000 }, async () => {
  await serve(Server.start())
  const connection = connect()
  const known = new Y.Doc()
  const first = connection.open('a', { doc: known })
  write(first, 'kept')
  await agreed(first)
  for (let times = 0; times < 5; times += 1) {
    connection.documents.get('a')!.close()
    connection.open('a', { doc: known })
    await new Promise(setImmediate) // It has asked by now, and has no answer.
    connection.documents.get('a')!.close()
    const again = connection.open('a')
    const synced: string[] = []
    again.on('synced', () => synced.push(text(again).toString()))
    write(again, '.')
    await until(() => again.synced && again.saved)
    expect(synced).toEqual([expect.stringMatching(/kept/)])
  }
  expect((await read('a')).getText('content').toString().replaceAll('.', '')).toBe('kept')
})

test('many documents share one WebSocket, and each is its own', { timeout: 60_000 }, async () => {
  await serve(Server.start())
  const [ada, grace] = [connect(), connect()]
  const names = ['a', 'b/ü 😀', 'c']
  const mine = names.map((name) => ada.open(name))
  const theirs = names.map((name) => grace.open(name))
  await until(() => [...mine, ...theirs].every(({ synced }) => synced))
  mine.forEach((document) => write(document, document.name))
  for (const [index, document] of mine.entries()) {
    expect(await agreed(document, theirs[index]!)).toBe(names[index])
  }
  expect([proxy.websockets(), ada.transport]).toEqual([2, 'websocket'])
  // The others go on when one is left, and it can be opened again.
  mine[1]!.close()
  write(mine[0]!, '!')
  await agreed(mine[0]!, theirs[0]!)
  expect(await agreed(ada.open(names[1]!), theirs[1]!)).toBe(names[1])
})

test('presence is shared, throttled, and gone with who left', { timeout: 60_000 }, async () => {
  await serve(Server.start())
  const [ada, grace] = [connect().open('a'), connect().open('a')]
  ada.presence.patch({ user: 'Ada' })
  for (let at = 0; at < 50; at += 1) ada.presence.patch({ cursor: at })
  await until(() => grace.presence.others[0]?.state['cursor'] === 49)
  expect(grace.presence.others).toEqual([
    { client: ada.doc.clientID, state: { user: 'Ada', cursor: 49 } },
  ])
  ada.close()
  await until(() => grace.presence.others.length === 0)
})

test('messages reach those who listen, and are acknowledged', { timeout: 60_000 }, async () => {
  await serve(Server.start())
  const [here, there] = [connect(), connect()]
  const [ada, grace] = [here.open('a'), there.open('a')]
  await until(() => ada.synced && grace.synced)
  const heard: unknown[] = []
  grace.messages.on('pointer', (payload) => heard.push(payload))
  grace.messages.on('other', () => heard.push('never'))
  there.onMessage('pointer', (_payload, { document }) => heard.push(document))
  expect(ada.messages.send('pointer', { x: 1, é: '😀' })).toBe(true)
  await until(() => heard.length === 2)
  expect(heard).toEqual([{ x: 1, é: '😀' }, 'a'])
  expect(await ada.messages.deliver('pointer', null)).toBe(1)
  await expect(ada.messages.deliver('pointer', 'x'.repeat(70_000))).rejects.toThrow(MessageRefused)
  here.disconnect()
  expect(ada.messages.send('pointer', null)).toBe(false)
  await expect(ada.messages.deliver('pointer', null)).rejects.toThrow(MessageRefused)
})

test('where WebSockets are blocked a stream carries all, until they are allowed again', { timeout: 90_000 }, async () => {
  await serve(Server.start())
  proxy.block_websockets()
  const [behind, outside] = [connect(), connect({ url: server.url })]
  const [ada, grace] = [behind.open('a'), outside.open('a')]
  ada.presence.patch({ user: 'Ada' })
  write(ada, 'behind ')
  await until(() => behind.transport === 'stream')
  write(grace, 'outside ')
  await agreed(ada, grace)
  await until(() => grace.presence.others.length === 1)
  expect(await ada.messages.deliver('hello', null)).toBe(1)

  proxy.allow()
  await until(() => behind.transport === 'websocket')
  write(ada, 'climbed')
  expect(await agreed(ada, grace)).toContain('climbed')
  await until(() => grace.presence.others.length === 1)

  // What was open is cut and blocked in the middle of writing.
  for (let count = 0; count < 50; count += 1) {
    write(ada, `${count},`)
    if (count === 25) proxy.block_websockets()
  }
  await until(() => behind.transport === 'stream')
  expect(await agreed(ada, grace)).toContain('24,25,26,')
})

test('where streams are held back too, polls carry all', { timeout: 90_000 }, async () => {
  await serve(Server.start())
  proxy.block_websockets()
  proxy.hold_streams()
  const [behind, outside] = [connect(), connect({ url: server.url })]
  const [ada, grace] = [behind.open('a'), outside.open('a')]
  write(ada, 'behind ')
  await until(() => behind.transport === 'poll')
  write(grace, 'outside ')
  await agreed(ada, grace)
  for (let count = 0; count < 20; count += 1) {
    write(ada, 'a')
    write(grace, 'g')
  }
  expect(await agreed(ada, grace)).toHaveLength('behind outside '.length + 40)
  proxy.allow()
  await until(() => behind.transport === 'websocket')
  await agreed(ada, grace)
})

test('a session of the fallback outlives cuts without beginning anew', { timeout: 90_000 }, async () => {
  await serve(Server.start())
  proxy.block_websockets()
  const [behind, outside] = [connect({ transports: ['stream', 'poll'] }), connect({ url: server.url })]
  const [ada, grace] = [behind.open('a'), outside.open('a')]
  ada.presence.patch({ user: 'Ada' })
  await until(() => ada.saved && grace.presence.others.length === 1)
  let timesLeft = 0
  grace.presence.on('change', ({ others }) => (timesLeft += others.length === 0 ? 1 : 0))
  for (let cut = 0; cut < 5; cut += 1) {
    write(ada, `a${cut}`)
    proxy.drop()
    write(grace, `g${cut}`)
    await agreed(ada, grace)
  }
  expect([timesLeft, ada.synced]).toEqual([0, true])
})

test('what is written while there is no connection waits, and is saved later', { timeout: 60_000 }, async () => {
  await serve(Server.start())
  const ada = connect().open('a')
  await until(() => ada.saved)
  proxy.cut()
  await until(() => ada.status === 'reconnecting')
  expect(ada.saved).toBe(true)
  write(ada, 'one')
  write(ada, 'two')
  expect([ada.saved, ada.pendingChanges]).toEqual([false, 2])
  proxy.mend()
  await until(() => ada.saved)
  expect([ada.pendingChanges, (await read('a')).getText('content').toString()]).toEqual([0, 'onetwo'])
})

test.each(['websocket', 'stream', 'poll'] as const)(
  'what is written right before the end arrives, by %s',
  { timeout: 60_000 },
  async (kind) => {
    await serve(Server.start())
    if (kind === 'poll') proxy.hold_streams()
    const leaving = connect({ transports: kind === 'websocket' ? [kind] : ['stream', 'poll'] })
    const [a, b] = [leaving.open('a'), leaving.open('b')]
    await until(() => a.saved && b.saved)
    write(a, 'first')
    await Promise.resolve()
    write(a, ' and last')
    a.close()
    write(b, 'too')
    leaving.destroy()
    const left = ['a', 'b'].map((name) => connect({ url: server.url }).open(name))
    const all = ['first and last', 'too']
    await until(() => left.every((document, index) => text(document).toString() === all[index]))
  },
)

test.each(['websocket', 'stream', 'poll'] as const)(
  'what %s calls saved outlives SIGKILL of the server, and nothing is lost',
  { timeout: 120_000 },
  async (kind) => {
    await serve(Server.start())
    if (kind === 'poll') proxy.hold_streams()
    const transports = kind === 'websocket' ? [kind] : (['stream', 'poll'] as const)
    const writers = [connect({ transports }).open('a'), connect({ transports }).open('a')]
    /** Up to where each was told that what it wrote is stored: every change is one character. */
    const vouched = new Map<number, number>()
    for (const writer of writers) {
      const { doc } = writer
      writer.on('pending', (changes) => {
        const clock = Y.decodeStateVector(Y.encodeStateVector(doc)).get(doc.clientID) ?? 0
        vouched.set(doc.clientID, Math.max(vouched.get(doc.clientID) ?? 0, clock - changes))
      })
    }
    await until(() => writers.every(({ saved }) => saved))
    const hasProgressed = (round: number): boolean =>
      vouched.size === writers.length && [...vouched.values()].every((clock) => clock > round * 60)
    let written = 0
    for (let round = 0; round < 3; round += 1) {
      const begun = written
      const typing = setInterval(() => {
        for (const writer of writers) write(writer, 'x')
        written += writers.length
      }, 3)
      await until(() => written > begun + 60 && hasProgressed(round))
      await server.kill()
      const promised = [...vouched]
      await until(() => written > begun + 90)
      clearInterval(typing)
      await server.run()
      const kept = Y.decodeStateVector(Y.encodeStateVector(await storedDoc()))
      for (const [client, clock] of promised) expect(kept.get(client) ?? 0).toBeGreaterThanOrEqual(clock)
      await until(() => writers.every(({ saved }) => saved))
    }
    expect(await agreed(...writers)).toHaveLength(written)
    expect((await read('a')).getText('content').length).toBe(written)
  },
)

/** What the server has, whether or not the writers are back. */
async function storedDoc(): Promise<Y.Doc> {
  const response = await fetch(`${server.url}/api/docs/a/content?format=update`)
  const doc = new Y.Doc()
  Y.applyUpdate(doc, new Uint8Array(await response.arrayBuffer()))
  return doc
}

test.each(['websocket', 'stream', 'poll'] as const)(
  'by %s changes longer than the server’s messages arrive whole, and count as saved only then',
  { timeout: 120_000 },
  async (kind) => {
    await serve(Server.start('--message-max-bytes', '300000'))
    if (kind === 'poll') proxy.hold_streams()
    const transports = kind === 'websocket' ? [kind] : (['stream', 'poll'] as const)
    const ada = connect({ transports }).open('a')
    const offline = 'written before there was a connection 😀 '.repeat(20_000)
    const pasted = 'five megabytes 😀 '.repeat(300_000)
    write(ada, offline)
    await until(() => ada.saved)
    expect([ada.pendingChanges, await storedLength()]).toEqual([0, offline.length])
    write(ada, pasted)
    expect([ada.pendingChanges, ada.saved]).toEqual([1, false])
    await until(() => ada.saved)
    expect([ada.pendingChanges, await storedLength()]).toEqual([0, offline.length + pasted.length])
    expect((await read('a')).getText('content').toString()).toBe(offline + pasted)
  },
)

test('a long session without a connection arrives whole, also where it is cut on the way', { timeout: 120_000 }, async () => {
  await serve(Server.start('--message-max-bytes', '300000'))
  const ada = connect().open('a')
  await until(() => ada.saved)
  proxy.cut()
  await until(() => ada.status === 'reconnecting')
  // Each stands before the one before it: nothing of it becomes one struct.
  for (let count = 0; count < 50_000; count += 1) text(ada).insert(0, `${count} `)
  expect(ada.pendingChanges).toBe(50_000)
  const stored = connect({ url: server.url }).open('a')
  let cuts = 0
  text(stored).observe(() => {
    if (cuts++ === 0) proxy.drop()
  })
  proxy.mend()
  await until(() => ada.saved)
  expect(cuts).toBeGreaterThan(1)
  expect(await agreed(ada, stored)).toMatch(/^49999 .* 0 $/)
  expect(ada.pendingChanges).toBe(0)
})

async function storedLength(): Promise<number> {
  return (await storedDoc()).getText('content').length
}

test('two who write through a slow network that drops connections end with the same', { timeout: 90_000 }, async () => {
  await serve(Server.start())
  proxy.delay({ ms: 40 })
  const writers = [connect().open('a'), connect().open('a')]
  let written = 0
  const typing = setInterval(() => {
    writers.forEach((writer, index) => text(writer).insert(0, 'ab'[index]!))
    written += writers.length
  }, 5)
  for (let cut = 1; cut <= 4; cut += 1) {
    await until(() => written > cut * 100 && writers.some(({ synced }) => synced))
    proxy.drop()
  }
  clearInterval(typing)
  expect(await agreed(...writers)).toHaveLength(written)
})

test('a refused document leaves the others alone, and opens with another token', { timeout: 60_000 }, async () => {
  await serve(Server.startGuarded())
  const grants: Record<string, 'read' | 'write'> = { 'mine': 'write', 'readable': 'read' }
  const connection = connect({ getToken: () => tokenFor('ada', grants) })
  const [mine, readable, secret] = ['mine', 'readable', 'secret'].map((name) => connection.open(name))
  await until(() => secret!.status === 'refused')
  expect(secret!.refusal?.code).toBe(4403)
  await until(() => mine!.saved && readable!.synced)
  expect([mine!.access, readable!.access]).toEqual(['read-write', 'readonly'])
  write(readable!, 'not allowed')
  expect([readable!.saved, readable!.pendingChanges]).toEqual([false, 1])
  grants['secret'] = 'write'
  secret!.reopen()
  await until(() => secret!.saved)
  expect((await fetch(server.url)).ok).toBe(true)
})

test('another token is asked for once where one is refused', { timeout: 60_000 }, async () => {
  await serve(Server.startGuarded())
  let asked = 0
  const tokens = ['stale', tokenFor('ada', { '**': 'write' })]
  const ada = connect({ getToken: () => tokens[Math.min(asked++, 1)]! }).open('a')
  await until(() => ada.saved)
  expect(asked).toBe(2)
  const stranger = connect({ getToken: () => `stale${asked++}` }).open('a')
  await until(() => stranger.status === 'refused')
  expect([stranger.refusal?.code, asked]).toEqual([4401, 4])
})

test('a token that is about to expire is replaced without a break', { timeout: 90_000 }, async () => {
  await serve(Server.startGuarded())
  let asked = 0
  // The server asks for the next one up to 30 s before the end.
  const getToken = (): string => tokenFor('ada', { '**': 'write' }, asked++ === 0 ? 8 : 600)
  const ada = connect({ getToken }).open('a')
  await until(() => ada.saved)
  let breaks = 0
  ada.on('synced', () => (breaks += 1))
  await until(() => asked === 2)
  write(ada, 'on and on')
  await until(() => ada.saved)
  expect(breaks).toBe(0)
})

test('a deleted document ends with 4404, and can be opened again', { timeout: 60_000 }, async () => {
  await serve(Server.start())
  const ada = connect().open('a')
  write(ada, 'gone soon')
  await until(() => ada.saved)
  expect((await fetch(`${server.url}/api/docs/a`, { method: 'DELETE' })).ok).toBe(true)
  await until(() => ada.status === 'refused')
  expect(ada.refusal?.code).toBe(4404)
})

test('a destroyed connection leaves nothing open', { timeout: 60_000 }, async () => {
  await serve(Server.start())
  const connection = connect()
  const ada = connection.open('a')
  await until(() => ada.synced)
  connection.destroy()
  await until(() => proxy.connections() === 0)
  expect([ada.status, connection.documents.size, connection.transport]).toEqual(['offline', 0, null])
})
