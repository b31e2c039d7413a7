import { expect, test } from 'vitest'

import { connect, name, serve, server, until, write } from './network.js'
import { Server, tokenFor } from './serving.js'

serve(() => Server.startGuarded())

test('a refused document leaves the others alone, and opens with another token', { timeout: 60_000 }, async () => {
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
  let asked = 0
  const tokens = ['stale', tokenFor('ada', { '**': 'write' })]
  const ada = connect({ getToken: () => tokens[Math.min(asked++, 1)]! }).open(name)
  await until(() => ada.saved)
  expect(asked).toBe(2)
  const stranger = connect({ getToken: () => `stale${asked++}` }).open(name)
  await until(() => stranger.status === 'refused')
  expect([stranger.refusal?.code, asked]).toEqual([4401, 4])
})

test('a token that is about to expire is replaced without a break', { timeout: 90_000 }, async () => {
  let asked = 0
  // The server asks for the next one up to 30 s before the end.
  const getToken = (): string => tokenFor('ada', { '**': 'write' }, asked++ === 0 ? 8 : 600)
  const ada = connect({ getToken }).open(name)
  await until(() => ada.saved)
  let breaks = 0
  ada.on('synced', () => (breaks += 1))
  await until(() => asked === 2)
  write(ada, 'on and on')
  await until(() => ada.saved)
  expect(breaks).toBe(0)
})
