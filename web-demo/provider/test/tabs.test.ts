import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type * as Y from 'yjs'

import { type CollabDocument, Connection, type ConnectionOptions } from '../src/index.js'
import { Wire } from './wire.js'

// Node's BroadcastChannel is that of browsers: each connection here is a tab.

const URL = 'http://server.test/prefix/'
const WITHIN = { timeout: 10_000, interval: 5 }

let wire: Wire
let connections: Connection[]
let overheard: Overheard

beforeEach(() => {
  wire = new Wire()
  connections = []
  overheard = new Overheard()
})

afterEach(() => {
  for (const connection of connections) connection.destroy()
  overheard.close()
})

function connect(options: Partial<ConnectionOptions> = {}): Connection {
  const connection = new Connection({
    url: URL,
    WebSocket: wire.WebSocket,
    transports: ['websocket'],
    getTabs: () => 'ada',
    timings: { apartMs: 20, backoffBaseMs: 20, backoffCapMs: 20, presenceMs: 5 },
    ...options,
  })
  connections.push(connection)
  return connection
}

const open = (options?: Partial<ConnectionOptions>): CollabDocument => connect(options).open('a')
const text = ({ doc }: CollabDocument): Y.Text => doc.getText('content')
const write = (document: CollabDocument, added: string): void =>
  text(document).insert(text(document).length, added)
const until = (check: () => boolean): Promise<boolean> => vi.waitUntil(check, WITHIN)

/** Waits until all show this text. */
const shown = (expected: string, ...documents: CollabDocument[]): Promise<boolean> =>
  until(() => documents.every((document) => text(document).toString() === expected))

/** Cuts the connections there are, and keeps others from opening. */
function cut(): void {
  wire.isReachable = false
  for (const socket of wire.sockets) socket.end(1006)
}

/** A channel of the document, as another release of the page may have it. */
class Overheard {
  words = 0
  #echoes = 0
  readonly #channels = [0, 1].map(() => new BroadcastChannel(JSON.stringify(['collab', URL, 'a', 'ada'])))

  constructor() {
    this.#channels[0]!.onmessage = ({ data }: MessageEvent<{ from: number }>) => {
      if (data.from === 0) this.#echoes += 1
      else this.words += 1
    }
  }

  say(word: object): void {
    this.#channels[1]!.postMessage({ from: 1, ...word })
  }

  /** Waits until what was said is heard, answered, and the answers are heard. */
  async settle(): Promise<void> {
    for (let round = 0; round < 4; round += 1) {
      const before = this.#echoes
      this.#channels[1]!.postMessage({ from: 0 })
      await until(() => this.#echoes > before)
    }
  }

  close(): void {
    for (const channel of this.#channels) channel.close()
  }
}

test('without a server tabs show what each of them has, writes and is', async () => {
  wire.isReachable = false
  const tabs = [open(), open()]
  write(tabs[0]!, 'before ')
  await shown('before ', ...tabs)
  const late = open()
  tabs.push(late)
  await shown('before ', late)
  write(late, 'after')
  await shown('before after', ...tabs)
  text(tabs[1]!).delete(0, 'before '.length)
  await shown('after', ...tabs)
  late.presence.set({ name: 'late' })
  await until(() => tabs[0]!.presence.others.some(({ state }) => state['name'] === 'late'))
  late.close()
  await until(() => tabs[0]!.presence.others.every(({ state }) => state['name'] !== 'late'))
  expect(tabs.map(({ saved }) => saved)).toEqual([false, false, false])
  expect(tabs[0]!.pendingChanges).toBe(1)
})

test('what tabs wrote together is stored once, and by one of them where the other is closed before', async () => {
  wire.isReachable = false
  const [first, second] = [open(), open()]
  write(first, 'one ')
  await shown('one ', second)
  write(second, 'two ')
  await shown('one two ', first)
  second.close()
  wire.isReachable = true
  await until(() => first.saved)
  expect(wire.docs.get('a')!.getText('content').toString()).toBe('one two ')
  const third = open()
  await until(() => third.saved)
  expect(text(third).toString()).toBe('one two ')
})

test('with a server tabs say nothing to each other', async () => {
  const [first, second] = [open(), open()]
  await until(() => first.saved && second.saved)
  write(first, 'one')
  first.presence.set({ name: 'first' })
  await until(() => first.saved)
  await overheard.settle()
  expect([overheard.words, text(second).toString()]).toEqual([0, ''])
  cut()
  await shown('one', second)
  expect(overheard.words).toBeGreaterThan(0)
  wire.isReachable = true
  await until(() => [first, second].every(({ saved, status }) => saved && status === 'connected'))
  expect([first.presence.others, second.presence.others]).toEqual([[], []])
  await overheard.settle()
  const words = overheard.words
  write(first, ' two')
  await overheard.settle()
  expect(overheard.words).toBe(words)
})

test('tabs of others, of nobody that is known, and on their own learn nothing', async () => {
  wire.isReachable = false
  const [first, same] = [open(), open()]
  const strangers = [
    open({ getTabs: () => 'grace' }),
    open({ getTabs: () => null }),
    connect().open('b'),
    connect({ url: 'http://server.test/elsewhere' }).open('a'),
  ]
  const resting = connect()
  strangers.push(resting.open('a'))
  resting.disconnect()
  write(first, 'mine')
  await shown('mine', same)
  write(same, ' alone')
  await shown('mine alone', first)
  await overheard.settle()
  expect(strangers.map((stranger) => text(stranger).toString())).toEqual(['', '', '', '', ''])
  resting.connect()
  await shown('mine alone', strangers.at(-1)!)
})

test('a tab is of whoever is there now, also where that changes while there is no server', async () => {
  wire.isReachable = false
  let who: string | null = 'ada'
  const [first, adas, graces] = [open({ getTabs: () => who }), open(), open({ getTabs: () => 'grace' })]
  const seen = (): unknown[] => first.presence.others.map(({ state }) => state['name'])
  adas.presence.set({ name: 'ada' })
  graces.presence.set({ name: 'grace' })
  write(adas, 'one ')
  await until(() => text(first).toString() === 'one ' && seen().includes('ada'))
  who = 'grace'
  write(adas, 'of Ada’s')
  await shown('one ', graces)
  expect(text(first).toString()).toBe('one ')
  write(first, 'of Grace’s')
  await shown('one of Grace’s', graces)
  expect(seen()).toEqual(['grace'])
  who = null
  write(first, ' and nobody’s')
  await overheard.settle()
  expect([adas, graces].map((tab) => text(tab).toString())).toEqual(['one of Ada’s', 'one of Grace’s'])
})

test('a tab of which nobody can say whose it is goes on alone', async () => {
  wire.isReachable = false
  const errors: unknown[] = []
  vi.stubGlobal('reportError', (error: unknown) => errors.push(error))
  const getTabs = (): string => {
    throw new Error('not now')
  }
  const [alone, other] = [open({ getTabs }), open()]
  write(other, 'one')
  await until(() => errors.length > 0 && overheard.words > 0)
  await overheard.settle()
  vi.unstubAllGlobals()
  expect([text(alone).toString(), errors.length]).toEqual(['', 1])
})

test('what somebody writes who may only read stays in their tab', async () => {
  wire.access = 'readonly'
  const reader = open()
  await until(() => reader.access === 'readonly')
  wire.access = 'read-write'
  const [writer, other] = [open(), open()]
  await until(() => writer.saved && other.saved)
  cut()
  write(reader, 'not allowed')
  write(writer, 'allowed')
  await shown('allowed', other)
  await overheard.settle()
  expect([text(writer).toString(), text(reader).toString()]).toEqual(['allowed', 'not allowed'])
})

test('a tab that the server refuses says nothing any more', async () => {
  const refused = open()
  await until(() => refused.saved)
  wire.last.closeDocument('a', 4404, 'deleted')
  await until(() => refused.status === 'refused')
  write(refused, 'deleted')
  wire.isReachable = false
  const other = open()
  await until(() => overheard.words > 0)
  await overheard.settle()
  expect(text(other).toString()).toBe('')
})

test('a copy that is still loading is waited for', async () => {
  wire.isReachable = false
  let load: () => void = () => undefined
  const loaded = new Promise<void>((resolve) => (load = resolve))
  const first = connect().open('a', { loaded })
  const second = open()
  write(second, 'there')
  await until(() => overheard.words > 0)
  await overheard.settle()
  expect(text(first).toString()).toBe('')
  load()
  await shown('there', first)
})

test('where the browser refuses the channel a tab goes on alone', async () => {
  wire.isReachable = false
  const refuse = vi.fn(() => {
    throw new DOMException('denied', 'SecurityError')
  })
  vi.stubGlobal('BroadcastChannel', class { constructor() { refuse() } })
  const alone = open()
  await until(() => refuse.mock.calls.length > 0)
  vi.unstubAllGlobals()
  write(alone, 'alone')
  wire.isReachable = true
  await until(() => alone.saved)
})

test('words that a tab does not understand are reported, and it goes on', async () => {
  wire.isReachable = false
  const [first, second] = [open(), open()]
  write(first, 'one')
  await shown('one', second)
  const errors: unknown[] = []
  const report = vi.fn((error: unknown) => errors.push(error))
  vi.stubGlobal('reportError', report)
  overheard.say({ update: Uint8Array.of(255, 255) })
  await until(() => errors.length === 2)
  vi.unstubAllGlobals()
  write(first, ' two')
  await shown('one two', second)
})
