// Hosts stock Yjs clients, sockets they share and TCP proxies for the end-to-end tests.
//
// Each line on stdin is a call, {id, on, call, arguments}; each line on stdout its outcome,
// {id, result} or {id, error}. `on` names a client or another thing, as `open_client` and its
// like return it; null calls what is below.

import { createInterface } from 'node:readline'

import { Client, whenAgreed } from './client.mjs'
import { HocuspocusSocket } from './hocuspocus.mjs'
import { HttpProxy } from './http-proxy.mjs'
import { Proxy } from './proxy.mjs'
import { YSweetManager } from './y-sweet.mjs'

process.setMaxListeners(0) // y-websocket 1 and 2 put one on the process for each provider.

const hosted = new Map()

function host(thing) {
  const name = hosted.size
  hosted.set(name, thing)
  return name
}

const calls = {
  open_client: ({ socket, ...options }) =>
    host(new Client(socket === undefined ? options : { ...options, socket: hosted.get(socket) })),
  open_socket: (options) => host(new HocuspocusSocket(options)),
  open_manager: (options) => host(new YSweetManager(options)),
  open_proxy: (options) => host(new Proxy(options)),
  open_http_proxy: (options) => host(new HttpProxy(options)),
  when_agreed: ({ clients }) => whenAgreed(clients.map((name) => hosted.get(name))),
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, on, call, arguments: options } = JSON.parse(line)
  const target = on === null ? calls : hosted.get(on)
  Promise.resolve()
    .then(() => target[call](options))
    .then(
      (result) => ({ id, result: result ?? null }),
      (error) => ({ id, error: String(error?.stack ?? error) }),
    )
    .then((outcome) => process.stdout.write(`${JSON.stringify(outcome)}\n`))
}
process.exit(0)
