import { expect, test, vi } from 'vitest'
import * as Y from 'yjs'

import { type CollabDocument, MessageRefused } from '../src/index.js'
import { agreed, connect, name, placeOf, proxy, read, serve, server, text, until, write } from './network.js'
import { Server } from './serving.js'

serve(() => Server.start())

test('a document that is opened again at once has all of it when it is synced', { timeout: 60_000 }, async () => {
  const connection = connect()
  const known = new Y.Doc()
  const first = connection.open(name, { doc: known })
  write(first, 'kept')
  await agreed(first)
  for (let times = 0; times < 5; times += 1) {
    connection.documents.get(name)!.close()
    connection.open(name, { doc: known })
    await new Promise(setImmediate) // It has asked by now, and has no answer.
    connection.documents.get(name)!.close()
    const again = connection.open(name)
    const synced: string[] = []
    again.on('synced', () => synced.push(text(again).toString()))
    write(again, '.')
    await until(() => again.synced && again.saved)
    expect(synced).toEqual([expect.stringMatching(/kept/)])
  }
  expect((await read()).getText('content').toString().replaceAll('.', '')).toBe('kept')
})

test('many documents share one WebSocket, and each is its own', { timeout: 60_000 }, async () => {
  const [ada, grace] = [connect(), connect()]
  const names = [name, `${name}/ü 😀`, `${name}/c`]
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
  const [ada, grace] = [connect().open(name), connect().open(name)]
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
  const [here, there] = [connect(), connect()]
  const [ada, grace] = [here.open(name), there.open(name)]
  await until(() => ada.synced && grace.synced)
  const heard: unknown[] = []
  grace.messages.on('pointer', (payload) => heard.push(payload))
  grace.messages.on('other', () => heard.push('never'))
  there.onMessage('pointer', (_payload, { document }) => heard.push(document))
  expect(ada.messages.send('pointer', { x: 1, é: '😀' })).toBe(true)
  await until(() => heard.length === 2)
  expect(heard).toEqual([{ x: 1, é: '😀' }, name])
  expect(await ada.messages.deliver('pointer', null)).toBe(1)
  await expect(ada.messages.deliver('pointer', 'x'.repeat(70_000))).rejects.toThrow(MessageRefused)
  here.disconnect()
  expect(ada.messages.send('pointer', null)).toBe(false)
  await expect(ada.messages.deliver('pointer', null)).rejects.toThrow(MessageRefused)
})

test('where WebSockets are blocked a stream carries all, until they are allowed again', { timeout: 90_000 }, async () => {
  proxy.block_websockets()
  const [behind, outside] = [connect(), connect({ url: server.url })]
  const [ada, grace] = [behind.open(name), outside.open(name)]
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
  proxy.block_websockets()
  proxy.hold_streams()
  const [behind, outside] = [connect(), connect({ url: server.url })]
  const [ada, grace] = [behind.open(name), outside.open(name)]
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
  proxy.block_websockets()
  const [behind, outside] = [connect({ transports: ['stream', 'poll'] }), connect({ url: server.url })]
  const [ada, grace] = [behind.open(name), outside.open(name)]
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

test('tabs that go on together through a cut see each other after it, as the server still does', { timeout: 90_000 }, async () => {
  const open = (): CollabDocument =>
    connect({
      transports: ['stream', 'poll'],
      getTabs: () => 'ada',
      timings: { backoffCapMs: 200, apartMs: 20 },
    }).open(name)
  const tabs = [open(), open()]
  const areTogether = (): boolean => tabs.every(({ presence }) => presence.others.length === 1)
  await until(() => tabs.every(({ saved }) => saved) && areTogether())
  let begun = 0
  for (const tab of tabs) tab.on('synced', () => (begun += 1))
  proxy.cut()
  await until(() => tabs.every(({ status }) => status === 'reconnecting'))
  write(tabs[0]!, 'apart')
  await until(() => text(tabs[1]!).toString() === 'apart')
  proxy.mend()
  await until(() => tabs.every(({ status }) => status === 'connected'))
  // Much sooner than presence is renewed by itself.
  await vi.waitUntil(areTogether, { timeout: 5_000, interval: 5 })
  expect([await agreed(...tabs), begun]).toEqual(['apart', 0])
})

test('what is written while there is no connection waits, and is saved later', { timeout: 60_000 }, async () => {
  const ada = connect().open(name)
  await until(() => ada.saved)
  proxy.cut()
  await until(() => ada.status === 'reconnecting')
  expect(ada.saved).toBe(true)
  write(ada, 'one')
  write(ada, 'two')
  expect([ada.saved, ada.pendingChanges]).toEqual([false, 2])
  proxy.mend()
  await until(() => ada.saved)
  expect([ada.pendingChanges, (await read()).getText('content').toString()]).toEqual([0, 'onetwo'])
})

test.each(['websocket', 'stream', 'poll'] as const)(
  'what is written right before the end arrives, by %s',
  { timeout: 60_000 },
  async (kind) => {
    if (kind === 'poll') proxy.hold_streams()
    const leaving = connect({ transports: kind === 'websocket' ? [kind] : ['stream', 'poll'] })
    const [a, b] = [leaving.open(name), leaving.open(`${name}/b`)]
    await until(() => a.saved && b.saved)
    write(a, 'first')
    await Promise.resolve()
    write(a, ' and last')
    a.close()
    write(b, 'too')
    leaving.destroy()
    const left = [a, b].map((document) => connect({ url: server.url }).open(document.name))
    const all = ['first and last', 'too']
    await until(() => left.every((document, index) => text(document).toString() === all[index]))
  },
)

test('two who write through a slow network that drops connections end with the same', { timeout: 90_000 }, async () => {
  proxy.delay({ ms: 40 })
  const writers = [connect().open(name), connect().open(name)]
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

test('a deleted document ends with 4404, and can be opened again', { timeout: 60_000 }, async () => {
  const ada = connect().open(name)
  write(ada, 'gone soon')
  await until(() => ada.saved)
  expect((await fetch(placeOf(), { method: 'DELETE' })).ok).toBe(true)
  await until(() => ada.status === 'refused')
  expect(ada.refusal?.code).toBe(4404)
})

test('a destroyed connection leaves nothing open', { timeout: 60_000 }, async () => {
  const connection = connect()
  const ada = connection.open(name)
  await until(() => ada.synced)
  connection.destroy()
  await until(() => proxy.connections() === 0)
  expect([ada.status, connection.documents.size, connection.transport]).toEqual(['offline', 0, null])
})
