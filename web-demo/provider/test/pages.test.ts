import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { WebSocket as NodeWebSocket } from 'ws'

import type { CollabDocument, Connection, Progress } from '../src/index.js'
import { Server } from './serving.js'

// The code of the pages runs as it stands there, against a real server.

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const WITHIN = { timeout: 20_000, interval: 10 }

let server: Server
let folder: string
let connections: Connection[]

beforeEach(async () => {
  server = await Server.start()
  // Beside the tests, where packages are found.
  folder = await mkdtemp(join(fileURLToPath(new URL('.', import.meta.url)), '.pages-'))
  connections = []
  vi.stubGlobal('WebSocket', NodeWebSocket)
})

afterEach(async () => {
  for (const connection of connections) connection.destroy()
  vi.unstubAllGlobals()
  await rm(folder, { recursive: true })
  await server.stop()
})

/** Runs a page's blocks of TypeScript as one module; gives what it exports. */
async function run<Exports>(page: string): Promise<Exports> {
  const text = await readFile(join(ROOT, page), 'utf8')
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block)
  expect(blocks.length).toBeGreaterThan(0)
  const module = join(folder, 'page.ts')
  await writeFile(module, blocks.join('\n').replaceAll('https://example.org/collab/', server.url))
  return (await import(/* @vite-ignore */ pathToFileURL(module).href)) as Exports
}

test('the how-to page connects, says where it stands and sends messages', { timeout: 60_000 }, async () => {
  let leave: ((event: { preventDefault: () => void }) => void) | undefined
  vi.stubGlobal('addEventListener', (type: string, listener: typeof leave) => {
    if (type === 'beforeunload') leave = listener
  })
  const said: unknown[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((text: unknown) => said.push(text))
  const { connection, guarded, notes, plan, describe, askToSave } = await run<{
    connection: Connection
    guarded: Connection
    notes: CollabDocument
    plan: CollabDocument
    describe: (progress: Progress) => string
    askToSave: () => Promise<number>
  }>('docs/how-to/connect-browser.md')
  connections.push(connection, guarded)
  let kept = 0
  leave?.({ preventDefault: () => (kept += 1) })
  expect(kept).toBe(1)
  await vi.waitUntil(() => notes.saved && plan.saved, WITHIN)
  leave?.({ preventDefault: () => (kept += 1) })
  expect([kept, describe(notes.progress), said.at(-1)]).toEqual([1, 'Saved', 'Saved'])
  expect(notes.presence.own).toEqual({ user: { name: 'Ada', color: '#0b7a6f' } })
  expect(await askToSave()).toBe(0)
  log.mockRestore()

  const asked: string[] = []
  const app = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end('a token')
  })
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(app.address() as AddressInfo).port}`
  const { fetch } = globalThis
  vi.stubGlobal('fetch', (path: string) => fetch(new URL(path, origin)))
  const document = guarded.open('a/b')
  await vi.waitUntil(() => document.saved, WITHIN)
  expect(asked).toEqual(['/collab-token?document=a%2Fb'])
  app.closeAllConnections()
  app.close()
})
