import { EventEmitter } from 'node:events'

import * as Y14 from '@y/y'
import { WebsocketProvider as WebsocketProvider4 } from '@y/websocket'
import * as decoding from 'lib0/decoding'
import { WebsocketProvider } from 'y-websocket'
import { WebsocketProvider as WebsocketProvider1 } from 'y-websocket-1'
import { WebsocketProvider as WebsocketProvider2 } from 'y-websocket-2'
import * as Y from 'yjs'

import { overheard } from './wire.mjs'

const PROVIDERS = {
  1: WebsocketProvider1,
  2: WebsocketProvider2,
  3: WebsocketProvider,
  4: WebsocketProvider4,
}

const AUTH = 2

/** y-websocket, and @y/websocket as its version 4. Its changes come back once they are durable. */
export class YWebsocketLink extends EventEmitter {
  static yjs(version) {
    return version === 4 ? Y14 : Y
  }

  echoes = true
  access = null
  #provider
  #tokens

  constructor({ base, room, version, doc, tokens }) {
    super()
    this.#tokens = [...tokens]
    this.#provider = new PROVIDERS[version](base, encodeURIComponent(room), doc, {
      // Clients in one process would otherwise talk to each other past the server.
      disableBc: true,
      connect: false,
      params: this.#params(),
      WebSocketPolyfill: overheard({
        heard: (frame) => this.#heard(frame),
        sent: () => this.emit('sent'),
      }),
    })
    this.#provider.on('status', ({ status }) => {
      this.emit('status', status)
      if (status === 'connected') this.emit('admitted')
    })
    this.#provider.on('sync', (synced) => this.emit('sync', synced))
    this.#provider.on('connection-close', (event) => {
      if (!event) return
      this.emit('closed', event.code, event.reason)
      if (this.#tokens.length > 1) this.#bring()
    })
  }

  get awareness() {
    return this.#provider.awareness
  }

  get isConnected() {
    return this.#provider.wsconnected
  }

  get bufferedBytes() {
    return this.#provider.ws?.bufferedAmount ?? 0
  }

  isOrigin(origin) {
    return origin === this.#provider
  }

  connect() {
    this.#provider.connect()
  }

  cut() {
    this.#provider.shouldConnect = false
    this.#provider.ws._socket.destroy()
  }

  destroy() {
    this.#provider.destroy()
  }

  /** As an application does whose token has run out: the next connection brings a new one. */
  #bring() {
    this.#tokens.shift()
    const { token } = (this.#provider.params = this.#params())
    // Version 1 puts its address together once.
    if (Object.hasOwn(this.#provider, 'url')) {
      this.#provider.url = this.#provider.url.replace(/token=[^&]*/, `token=${token}`)
    }
    // Version 3.1 has given up for good.
    this.#provider.connect()
  }

  #params() {
    return this.#tokens.length > 0 ? { token: this.#tokens[0] } : {}
  }

  #heard(frame) {
    const decoder = decoding.createDecoder(frame)
    if (decoding.readVarUint(decoder) === AUTH) {
      decoding.readVarUint(decoder)
      this.emit('refused', decoding.readVarString(decoder))
    }
    this.emit('heard', frame, frame)
  }
}
