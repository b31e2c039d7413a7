import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'

import * as decoding from 'lib0/decoding'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'

import { overheard, overheardFetch } from './wire.mjs'

// The package as it would be published, put there by `installation.py`.
const { resolve } = createRequire(new URL('./dist/', import.meta.url))
const { Connection } = await import(resolve('collab-provider'))

const AUTH = 2
const AUTHENTICATED = 2

/** collab-provider, by a WebSocket, an event stream or polls. It counts what is not durable yet. */
export class CollabLink extends EventEmitter {
  static yjs() {
    return Y
  }

  echoes = false
  awareness
  #connection
  #document
  #room
  #doc
  #cutting = new AbortController()
  #sockets = new Set()
  /** Up to which clock it had typed after each change made here. */
  #clocks = []

  /**
   * @param base where the server is
   * @param carrier what it is to use; one that may use a WebSocket finds another way by itself
   */
  constructor({ base, room, doc, tokens, carrier }) {
    super()
    this.#room = room
    this.#doc = doc
    this.awareness = new Awareness(doc)
    const heard = (frame) => this.#heard(frame)
    const sent = () => this.emit('sent')
    const sockets = this.#sockets
    const remaining = [...tokens]
    this.#connection = new Connection({
      url: base,
      WebSocket: class extends overheard({ heard, sent }) {
        constructor(...options) {
          super(...options)
          sockets.add(this)
          this.on('close', () => sockets.delete(this))
        }
      },
      fetch: overheardFetch({ heard, sent, cut: this.#cutting.signal }),
      ...(carrier !== 'websocket' && { transports: [carrier] }),
      ...(tokens.length > 0 && {
        getToken: () => (remaining.length > 1 ? remaining.shift() : remaining[0]),
      }),
    })
    doc.on('update', (_update, _origin, _doc, { local }) => {
      if (local) this.#clocks.push(Y.getState(doc.store, doc.clientID))
    })
  }

  get access() {
    return this.#document.access
  }

  get isConnected() {
    return this.#document.status === 'connected'
  }

  get isSaved() {
    return this.#document.saved
  }

  /** Its origin is its own secret; who types here has none. */
  isOrigin(origin) {
    return origin !== null
  }

  connect() {
    const { awareness } = this
    const document = (this.#document = this.#connection.open(this.#room, { doc: this.#doc, awareness }))
    let isConnected = false
    document.on('status', (status) => {
      if ((status === 'connected') === isConnected) return
      isConnected = !isConnected
      this.emit('status', isConnected ? 'connected' : 'disconnected')
      // A session that was cut off and goes on was in sync all the time.
      this.emit('sync', isConnected && document.synced)
    })
    document.on('synced', (synced) => this.emit('sync', synced))
    document.on('refused', ({ code, reason }) => {
      this.emit('refused', reason)
      this.emit('closed', code, reason)
    })
    document.on('saved', (saved) => {
      if (saved) this.emit('saved')
    })
    // What waits to be stored is always what was changed last.
    document.on('pending', (changes) => this.emit('saved', this.#clocks.at(-1 - changes) ?? 0))
  }

  cut() {
    this.#cutting.abort()
    for (const socket of this.#sockets) socket._socket.destroy()
    this.#connection.disconnect()
  }

  destroy() {
    this.#connection.destroy()
  }

  #heard(frame) {
    const decoder = decoding.createDecoder(frame)
    if (decoding.readVarString(decoder) !== this.#room) return
    const message = frame.subarray(decoder.pos)
    if (message[0] === AUTH && message[1] === AUTHENTICATED) this.emit('admitted')
    this.emit('heard', frame, message)
  }
}
