import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { WebSocket as NodeWebSocket } from 'ws'
import * as Y from 'yjs'

import { Extent } from '../clock-ranges.js'
import { CollabProvider, type CollabProviderOptions } from '../index.js'
import type { WebSocketClass } from '../link.js'
import { ContractServer } from './server.js'

let server: ContractServer
let providers: CollabProvider[]

beforeEach(async () => {
  server = await ContractServer.start()
  providers = []
})

afterEach(async () => {
  for (const provider of providers) provider.destroy()
  await server.stop()
})

function provide(doc = new Y.Doc(), options: CollabProviderOptions = {}): CollabProvider {
  const provider = new CollabProvider(server.url, 'notes', doc, {
    WebSocket: NodeWebSocket as unknown as WebSocketClass,
    backoffBaseMs: 5,
    backoffCapMs: 50,
    tryAgainMs: 300,
    ...options,
  })
  providers.push(provider)
  return provider
}

/** Waits until `check` holds. */
async function until(check: () => boolean): Promise<void> {
  await vi.waitUntil(check, { timeout: 5_000, interval: 5 })
}

const text = (provider: CollabProvider): Y.Text => provider.doc.getText('content')
const serverText = (): string => server.doc.getText('content').toString()

test('two providers converge', async () => {
  const ada = provide()
  const grace = provide()
  await until(() => ada.synced && grace.synced)
  text(ada).insert(0, 'Hello 👩‍💻')
  text(grace).insert(0, 'é')
  await until(() => text(ada).length === text(grace).length && serverText().length === 13 - 4 + 3)
  expect(text(ada).toString()).toBe(text(grace).toString())
  expect(text(ada).toString()).toBe(serverText())
})

test('the document name keeps its slashes encoded under a prefix', async () => {
  const provider = new CollabProvider(`${server.url}/collab/`, 'a/b c?é', new Y.Doc(), {
    WebSocket: NodeWebSocket as unknown as WebSocketClass,
  })
  providers.push(provider)
  await until(() => provider.synced)
  expect(server.paths).toEqual(['/collab/ws/a%2Fb%20c%3F%C3%A9'])
})

test('saved waits for the echo of every change', async () => {
  const provider = provide()
  expect(provider.saved).toBe(false)
  await until(() => provider.saved)
  server.holding = true
  text(provider).insert(0, 'one')
  expect(provider.saved).toBe(false)
  text(provider).insert(3, ' two')
  await until(() => serverText() === 'one two')
  expect([provider.saved, provider.pendingChanges]).toEqual([false, 2])
  server.commit()
  await until(() => provider.saved)
  expect(provider.pendingChanges).toBe(0)
})

test('an echo merged with updates of others acknowledges, those alone do not', async () => {
  const provider = provide()
  await until(() => provider.saved)
  server.holding = true
  text(provider).insert(0, 'mine')
  await until(() => serverText() === 'mine')
  const other = new Y.Doc()
  other.getText('content').insert(0, 'theirs')
  const grace = provide(other)
  await until(() => text(provider).length === 10)
  expect(provider.saved).toBe(false)
  server.commit(Y.encodeStateAsUpdate(other))
  await until(() => provider.saved && grace.saved)
})

test('a deletion is saved only when its own echo arrives', async () => {
  const provider = provide()
  text(provider).insert(0, 'remove me')
  await until(() => provider.saved)
  server.holding = true
  text(provider).delete(0, 7)
  await until(() => serverText() === 'me')
  expect(provider.saved).toBe(false)
  server.commit()
  await until(() => provider.saved)
})

test("the server's step 2 acknowledges nothing", async () => {
  server.holding = true
  const provider = provide()
  text(provider).insert(0, 'early')
  await until(() => provider.synced && serverText() === 'early')
  expect(provider.saved).toBe(false)
  server.commit()
  await until(() => provider.saved)
})

test('changes made offline are counted, sent on return and then saved', async () => {
  const provider = provide(new Y.Doc(), { backoffBaseMs: 200, backoffCapMs: 200 })
  await until(() => provider.saved)
  server.drop()
  await until(() => provider.status === 'reconnecting')
  text(provider).insert(0, 'a')
  text(provider).insert(1, 'b')
  text(provider).insert(2, 'c')
  expect([provider.pendingChanges, provider.saved]).toEqual([3, false])
  await until(() => provider.saved)
  expect(serverText()).toBe('abc')
})

test('a change the server had received but not stored is not called saved after reconnecting', async () => {
  const provider = provide()
  await until(() => provider.saved)
  server.holding = true
  text(provider).insert(0, 'in flight')
  await until(() => serverText() === 'in flight')
  server.drop()
  // The server knows the text, so an ordinary answer to its state vector would be empty.
  await until(() => server.paths.length === 2 && provider.synced)
  expect(provider.saved).toBe(false)
  server.commit()
  await until(() => provider.saved)
})

test('content loaded from the device is unsaved until the server has stored it', async () => {
  const earlier = new Y.Doc()
  earlier.getText('content').insert(0, 'from an earlier page')
  const provider = provide(new Y.Doc(), { connect: false })
  Y.applyUpdate(provider.doc, Y.encodeStateAsUpdate(earlier), 'indexeddb')
  server.holding = true
  provider.connect()
  await until(() => serverText() === 'from an earlier page')
  expect(provider.saved).toBe(false)
  server.commit()
  await until(() => provider.saved)
})

test('content loaded from the device after the sync is sent and saved too', async () => {
  const provider = provide()
  await until(() => provider.saved)
  const earlier = new Y.Doc()
  earlier.getText('content').insert(0, 'late')
  server.holding = true
  Y.applyUpdate(provider.doc, Y.encodeStateAsUpdate(earlier), 'indexeddb')
  expect(provider.saved).toBe(false)
  await until(() => serverText() === 'late')
  server.commit()
  await until(() => provider.saved)
})

test('a document whose only novelty is the server’s is saved without an echo', async () => {
  server.doc.getText('content').insert(0, 'abc')
  server.doc.getText('content').delete(0, 1)
  server.holding = true
  const provider = provide()
  await until(() => provider.synced && provider.saved)
  server.drop()
  await until(() => server.paths.length === 2 && provider.synced)
  expect(provider.saved).toBe(true)
})

test.each([4403, 4404])('close code %i ends the attempts with its reason', async (code) => {
  server.judge = () => code
  const provider = provide()
  await until(() => provider.status === 'refused')
  expect(provider.refusal).toEqual({ code, reason: 'judged' })
  server.judge = () => undefined
  provider.connect()
  await until(() => provider.synced)
  expect([provider.refusal, server.paths.length]).toEqual([null, 2])
})

test('close code 4401 refuses where no token can be had', async () => {
  server.judge = () => 4401
  const provider = provide()
  await until(() => provider.status === 'refused')
  expect(server.paths.length).toBe(1)
})

test('close code 4401 asks for a new token once', async () => {
  let given = 0
  server.judge = (path) => (path.endsWith('token=t2') ? undefined : 4401)
  const provider = provide(new Y.Doc(), { getToken: () => `t${(given += 1)}` })
  await until(() => provider.synced)
  expect(server.paths).toEqual(['/ws/notes?token=t1', '/ws/notes?token=t2'])
  server.judge = () => 4401
  server.drop(4401)
  await until(() => provider.status === 'refused')
  expect(given).toBe(3)
})

test('close code 1013 is waited out', async () => {
  server.judge = () => 1013
  const provider = provide()
  await until(() => provider.status === 'reconnecting')
  const since = Date.now()
  server.judge = () => undefined
  await until(() => provider.synced)
  expect(Date.now() - since).toBeGreaterThanOrEqual(290)
})

test('a silent connection is dropped and opened anew', async () => {
  server.mute = true
  const provider = provide(new Y.Doc(), { silenceMs: 200 })
  await until(() => provider.status === 'connected')
  await until(() => provider.status === 'reconnecting')
  server.mute = false
  await until(() => provider.synced)
})

test('presence is shared, and back at once after a reconnect', async () => {
  const ada = provide()
  const grace = provide()
  ada.awareness.setLocalStateField('user', { name: 'Ada' })
  const seesAda = (): boolean => grace.awareness.getStates().has(ada.doc.clientID)
  await until(seesAda)
  const left: unknown[] = []
  grace.awareness.on('change', ({ removed }: { removed: number[] }) => left.push(...removed))
  server.drop()
  await until(() => left.includes(ada.doc.clientID))
  await until(seesAda)
  ada.destroy()
  await until(() => !seesAda())
})

test('a destroyed provider leaves nothing connected', async () => {
  const provider = provide()
  await until(() => provider.synced)
  provider.destroy()
  await until(() => server.connections === 0)
  text(provider).insert(0, 'unheard')
  expect(provider.status).toBe('offline')
})

test.each(Array.from({ length: 12 }, (_, i) => i + 1))('what is called saved is durable, in random history %i', async (seed) => {
  let draw = seed * 7919
  const random = (bound: number): number => {
    draw = (draw * 48271) % 2147483647
    return draw % bound
  }
  const writers = [provide(), provide()]
  const faults: string[] = []
  for (const provider of writers) {
    const own: Uint8Array[] = []
    provider.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== provider) own.push(update)
    })
    provider.on('saved', (saved) => {
      if (!saved || own.length === 0) return
      const written = Extent.of(Y.mergeUpdates(own))
      written.subtract(Extent.of(Y.encodeStateAsUpdate(server.durable)))
      if (!written.isEmpty) faults.push(`saved too early: ${text(provider).toString()}`)
    })
  }
  for (let step = 0; step < 150; step += 1) {
    const writer = random(2)
    const content = text(writers[writer]!)
    const choice = random(20)
    const own = ['xyz', 'abc'][writer]!
    const at = random(content.length + 1)
    if (choice < 9) content.insert(at, own.slice(random(3)))
    // Two who delete the same at the same moment cannot tell whose deletion comes back.
    else if (choice < 14 && own.includes(content.toString()[at] ?? ' ')) content.delete(at, 1)
    else if (choice < 16) server.holding = !server.holding
    else if (choice < 18) server.commit()
    else server.drop()
    for (let turn = random(12); turn > 0; turn -= 1) await new Promise(setImmediate)
  }
  server.holding = false
  await until(() => writers.every((provider) => provider.synced))
  server.commit()
  await until(() => writers.every((provider) => provider.saved))
  await until(() => text(writers[0]!).toString() === text(writers[1]!).toString())
  expect(faults).toEqual([])
  expect(server.durable.getText('content').toString()).toBe(text(writers[0]!).toString())
})

test('a client that the server declared gone is seen again at once', async () => {
  const ada = provide()
  const grace = provide()
  ada.awareness.setLocalStateField('user', { name: 'Ada' })
  await until(() => grace.awareness.getStates().has(ada.doc.clientID))
  const clock = ada.awareness.meta.get(ada.doc.clientID)!.clock
  server.drop()
  await until(() => server.paths.length === 4 && ada.synced && grace.synced)
  await until(() => grace.awareness.getStates().has(ada.doc.clientID))
  // A removal carries the clock after the last: what follows must be past that.
  expect(ada.awareness.meta.get(ada.doc.clientID)!.clock).toBeGreaterThan(clock + 1)
})
