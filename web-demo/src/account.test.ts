// @vitest-environment jsdom
import { type Server, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { Account, type Standing } from './account.js'
import { RequestFailed } from './request.js'
import { keepToken, keptToken } from './token.js'

/** Tokens that the server takes, until when. */
const good = new Map<string, number>()
let asked = 0
let server: Server

beforeEach(async () => {
  good.clear()
  asked = 0
  server = createServer((request, response) => {
    asked += 1
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    const expires_ms = good.get(token) ?? null
    const standing: Standing =
      expires_ms === null
        ? { id: null, name: null, access: 'none', writable: [], expires_ms, refused: `got "${token}"` }
        : { id: token, name: token, access: 'write', writable: ['**'], expires_ms, refused: null }
    // The page of these tests has another origin than their server.
    response.setHeader('access-control-allow-origin', '*')
    response.end(JSON.stringify(standing))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const base = document.createElement('base')
  base.href = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  document.head.append(base)
})

afterEach(async () => {
  sessionStorage.clear()
  document.head.replaceChildren()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const inAnHour = (): number => Date.now() + 3_600_000

test('a token that is good is brought by requests, and the server is asked about it once', async () => {
  good.set('ana', inAnHour())
  keepToken('ana')
  const account = new Account(() => undefined)
  const bearers = await Promise.all([account.getBearer(), account.getBearer()])
  expect([...bearers, await account.getBearer(), asked]).toEqual(['ana', 'ana', 'ana', 1])
})

test('who has to sign in is refused before a request is made, and not asked about again', async () => {
  const standings: Standing[] = []
  const account = new Account((standing) => standings.push(standing))
  for (const _ of [1, 2]) await expect(account.getBearer()).rejects.toThrow(RequestFailed)
  expect(asked).toBe(1)
  expect(standings.map(({ refused }) => refused)).toEqual(['got ""'])
})

test('a connection waits for a token until somebody signs in', async () => {
  good.set('ana', inAnHour())
  const account = new Account(() => undefined)
  let token: string | null = null
  const given = account.getToken().then((got) => (token = got))
  await expect(account.getBearer()).rejects.toThrow()
  expect(await account.signIn('wrong')).toBe('got "wrong"')
  expect([token, keptToken()]).toEqual([null, null])
  expect(await account.signIn('ana')).toBeNull()
  await given
  expect([token, keptToken()]).toEqual(['ana', 'ana'])
})

test('a token past its end is asked about before it is brought again', async () => {
  good.set('ana', Date.now() - 1)
  keepToken('ana')
  const account = new Account(() => undefined)
  await account.getBearer()
  good.delete('ana')
  await expect(account.getBearer()).rejects.toThrow('sign in')
})

test('who signs out has no token any more, whatever the server would say of it', async () => {
  good.set('ana', inAnHour())
  keepToken('ana')
  const account = new Account(() => undefined)
  await account.getBearer()
  account.signOut()
  await expect(account.getBearer()).rejects.toThrow()
  expect([keptToken(), account.hasToken]).toEqual([null, false])
})

test('where the server is out of reach nobody is sent to sign in', async () => {
  keepToken('ana')
  const standings: Standing[] = []
  const account = new Account((standing) => standings.push(standing))
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await expect(account.getToken()).rejects.toThrow('out of reach')
  expect(standings).toEqual([])
})
