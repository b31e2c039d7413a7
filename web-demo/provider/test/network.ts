import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest'
import { WebSocket as NodeWebSocket } from 'ws'
import * as Y from 'yjs'

import { HttpProxy } from '../../../tests/clients/http-proxy.mjs'
import { type CollabDocument, Connection, type ConnectionOptions, type WebSocketClass } from '../src/index.js'
import type { Server } from './serving.js'

// A real `collab serve`, behind a proxy like those of offices and hotels.

const WITHIN_MS = 30_000
const TIMINGS = { backoffCapMs: 200, streamMs: 1_500, climbBaseMs: 300, climbCapMs: 300, tryAgainMs: 200 }

/** The server that the tests of a file share; one may kill it, and leaves it running. */
export let server: Server
/** The way to it, another one for each test. */
export let proxy: HttpProxy
/** A document of the test's own. */
export let name: string
let address: string
let connections: Connection[] = []
let tests = 0

/** Has the tests of a file run against one server. */
export function serve(start: () => Promise<Server>): void {
  beforeAll(async () => void (server = await start()))
  afterAll(() => server.stop())
  beforeEach(async () => {
    connections = []
    name = `test ${(tests += 1)}`
    proxy = new HttpProxy({ port: server.port })
    address = `http://127.0.0.1:${await proxy.open()}`
  })
  afterEach(async () => {
    for (const connection of connections) connection.destroy()
    await proxy.close()
  })
}

/** Connects through the proxy, unless `url` says otherwise. */
export function connect(options: Partial<ConnectionOptions> = {}): Connection {
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
export async function until(check: () => boolean): Promise<void> {
  await vi.waitUntil(check, { timeout: WITHIN_MS, interval: 5 })
}

export const text = ({ doc }: CollabDocument): Y.Text => doc.getText('content')
export const write = (document: CollabDocument, added: string): void =>
  text(document).insert(text(document).length, added)

/** Waits until all have the same text, saved; gives it. */
export async function agreed(...documents: CollabDocument[]): Promise<string> {
  const first = text(documents[0]!)
  await until(() =>
    documents.every((each) => each.saved && each.synced && text(each).toString() === first.toString()),
  )
  return first.toString()
}

/** What somebody sees who opens the document now, past the proxy. */
export async function read(): Promise<Y.Doc> {
  const reader = connect({ url: server.url }).open(name)
  await until(() => reader.synced)
  return reader.doc
}

/** Where the document is in the server's REST interface. */
export const placeOf = (): string => `${server.url}/api/docs/${encodeURIComponent(name)}`

/** What the server has, whether or not the writers are back. */
export async function storedDoc(): Promise<Y.Doc> {
  const response = await fetch(`${placeOf()}/content?format=update`)
  const doc = new Y.Doc()
  Y.applyUpdate(doc, new Uint8Array(await response.arrayBuffer()))
  return doc
}
