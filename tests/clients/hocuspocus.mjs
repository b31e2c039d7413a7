import { EventEmitter } from 'node:events'

import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as hocuspocus2 from 'hocuspocus-provider-2'
import * as hocuspocus3 from 'hocuspocus-provider-3'
import * as decoding from 'lib0/decoding'
import * as Y from 'yjs'

import { overheard } from './wire.mjs'

const PACKAGES = {
  2: hocuspocus2,
  3: hocuspocus3,
  4: { HocuspocusProvider, HocuspocusProviderWebsocket },
}

const PING = 9
const PONG = 10
const [SYNC, SYNC_STATUS] = [0, 8]
const STEP_1 = 0

/** One WebSocket, for as many documents as are opened on it. */
export class HocuspocusSocket extends EventEmitter {
  constructor({ base, version }) {
    super()
    this.setMaxListeners(0)
    this.websocket = new PACKAGES[version].HocuspocusProviderWebsocket({
      url: base,
      WebSocketPolyfill: overheard({
        heard: (frame) => this.emit('heard', frame),
        sent: (frame) => this.emit('sent', frame),
      }),
    })
  }

  destroy() {
    this.websocket.destroy()
  }
}

/** @hocuspocus/provider 2 to 4. It counts the changes it has not heard to be durable. */
export class HocuspocusLink extends EventEmitter {
  static yjs() {
    return Y
  }

  echoes = false
  #provider
  #socket
  #ownsSocket
  #version
  #room
  #tokens
  #status
  #owed = []

  /**
   * @param socket the socket to open the document on; without one it gets a socket of its own
   * @param session whether several providers of one document may share a socket (version 4)
   */
  constructor({ base, room, version, doc, tokens, socket, session = false }) {
    super()
    this.#version = version
    this.#room = room
    this.#tokens = [...tokens]
    this.#ownsSocket = socket === undefined
    this.#socket = socket ?? new HocuspocusSocket({ base, version })
    this.#socket.on('heard', this.#heard)
    this.#socket.on('sent', this.#sent)
    this.#provider = new PACKAGES[version].HocuspocusProvider({
      websocketProvider: this.#socket.websocket,
      name: room,
      document: doc,
      token: tokens.length > 0 ? () => this.#token() : null,
      broadcast: false,
      sessionAwareness: session,
    })
    this.#provider.on('status', ({ status }) => this.#note(status))
    this.#provider.on('synced', ({ state }) => this.emit('sync', state))
    this.#provider.on('close', ({ event }) => {
      this.#owed = []
      this.emit('sync', false)
      this.emit('closed', event.code, event.reason)
    })
    this.#provider.on('authenticationFailed', ({ reason }) => this.emit('refused', reason))
    this.#provider.on('authenticated', () => this.emit('admitted'))
    this.#provider.on('stateless', ({ payload }) => this.emit('message', payload))
    this.#provider.on('unsyncedChanges', () => {
      if (this.isSaved) this.emit('saved')
    })
  }

  get awareness() {
    return this.#provider.awareness
  }

  get access() {
    return this.#provider.authorizedScope ?? null
  }

  get isConnected() {
    return this.#status === 'connected'
  }

  get isSaved() {
    return !this.#provider.hasUnsyncedChanges
  }

  get bufferedBytes() {
    return this.#socket.websocket.webSocket?.bufferedAmount ?? 0
  }

  isOrigin(origin) {
    return origin === this.#provider
  }

  connect() {
    // Version 2 has attached itself.
    if (this.#version > 2) this.#provider.attach()
  }

  cut() {
    this.#socket.websocket.shouldConnect = false
    this.#socket.websocket.webSocket._socket.destroy()
  }

  destroy() {
    this.#provider.destroy()
    this.#socket.off('heard', this.#heard)
    this.#socket.off('sent', this.#sent)
    if (this.#ownsSocket) this.#socket.destroy()
  }

  say(payload) {
    this.#provider.sendStateless(payload)
  }

  /** Shows the next token on the same connection, as after a login. */
  retry() {
    // Version 2 lets go of a document whose token was refused.
    if (this.#version === 2) this.#socket.websocket.attach(this.#provider)
    else this.#provider.onOpen()
  }

  /** Shows the next token and goes on. */
  refresh() {
    this.#provider.sendToken()
  }

  #token() {
    return this.#tokens.length > 1 ? this.#tokens.shift() : this.#tokens[0]
  }

  #note(status) {
    if (status === this.#status) return
    this.#status = status
    this.emit('status', status)
    // Version 3 may be connecting beside a connection it has, and says nothing of its sync then.
    if (status === 'connected') this.emit('sync', this.#provider.synced)
  }

  /**
   * Notes what is owed a receipt. The provider's own count misses what waited for the socket to
   * open: it says that all is saved while so many receipts are still to come.
   */
  #sent = (frame) => {
    this.emit('sent')
    const message = this.#unwrap(frame)
    if (message?.[0] !== SYNC || message[1] === STEP_1) return
    const decoder = decoding.createDecoder(message.subarray(2))
    this.#owed.push(decoding.readVarUint8Array(decoder))
  }

  #heard = (frame) => {
    const message = this.#unwrap(frame)
    if (message === null) return
    if (message[0] === SYNC_STATUS) {
      const update = this.#owed.shift()
      if (message[1] === 1) this.emit('durable', update)
    }
    this.emit('heard', frame, message)
  }

  /** Takes the address off a frame; null for what is not of this document. */
  #unwrap(frame) {
    if (frame.length === 1 && (frame[0] === PING || frame[0] === PONG)) return null
    const decoder = decoding.createDecoder(frame)
    const [room, session] = decoding.readVarString(decoder).split('\0')
    if (room !== this.#room) return null
    if (session !== undefined && session !== this.#provider.sessionId) return null
    return frame.subarray(decoder.pos)
  }
}
