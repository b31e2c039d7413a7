import { expect, test } from 'vitest'
import * as Y from 'yjs'

import { agreed, connect, name, proxy, read, serve, server, storedDoc, text, until, write } from './network.js'
import { Server } from './serving.js'

serve(() => Server.start('--message-max-bytes', '300000'))

test.each(['websocket', 'stream', 'poll'] as const)(
  'what %s calls saved outlives SIGKILL of the server, and nothing is lost',
  { timeout: 120_000 },
  async (kind) => {
    if (kind === 'poll') proxy.hold_streams()
    const transports = kind === 'websocket' ? [kind] : (['stream', 'poll'] as const)
    const writers = [connect({ transports }).open(name), connect({ transports }).open(name)]
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
    expect((await read()).getText('content').length).toBe(written)
  },
)

test.each(['websocket', 'stream', 'poll'] as const)(
  'by %s changes longer than the server’s messages arrive whole, and count as saved only then',
  { timeout: 120_000 },
  async (kind) => {
    if (kind === 'poll') proxy.hold_streams()
    const transports = kind === 'websocket' ? [kind] : (['stream', 'poll'] as const)
    const ada = connect({ transports }).open(name)
    const offline = 'written before there was a connection 😀 '.repeat(20_000)
    const pasted = 'five megabytes 😀 '.repeat(300_000)
    write(ada, offline)
    await until(() => ada.saved)
    expect([ada.pendingChanges, await storedLength()]).toEqual([0, offline.length])
    write(ada, pasted)
    expect([ada.pendingChanges, ada.saved]).toEqual([1, false])
    await until(() => ada.saved)
    expect([ada.pendingChanges, await storedLength()]).toEqual([0, offline.length + pasted.length])
    expect((await read()).getText('content').toString()).toBe(offline + pasted)
  },
)

test('a long session without a connection arrives whole, also where it is cut on the way', { timeout: 120_000 }, async () => {
  const ada = connect().open(name)
  await until(() => ada.saved)
  proxy.cut()
  await until(() => ada.status === 'reconnecting')
  // Each stands before the one before it: nothing of it becomes one struct.
  for (let count = 0; count < 50_000; count += 1) text(ada).insert(0, `${count} `)
  expect(ada.pendingChanges).toBe(50_000)
  const stored = connect({ url: server.url }).open(name)
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
