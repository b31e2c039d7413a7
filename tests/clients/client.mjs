import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { setInterval, setTimeout as wait } from 'node:timers/promises'

import * as decoding from 'lib0/decoding'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import { WebsocketProvider as WebsocketProvider1 } from 'y-websocket-1'
import { WebsocketProvider as WebsocketProvider2 } from 'y-websocket-2'
import * as Y from 'yjs'

import { Typist } from './typist.mjs'
import { replay } from './trace.mjs'

const PROVIDERS = { 1: WebsocketProvider1, 2: WebsocketProvider2, 3: WebsocketProvider }

const ROOT = 'content'
const [SYNC, AWARENESS] = [0, 1]
const UPDATE = 2

/** A stock y-websocket provider on its own document, and a record of what it went through. */
export class Client extends EventEmitter {
  #statuses = []
  #synced = false
  #bytesReceived = 0
  #acknowledged = 0
  #acknowledgedDeletions = []
  #departed = new Set()
  #traffic = { connects: 0, closes: [], syncs: 0, frames: 0, updates: 0, sent: 0, longest_silence_ms: 0 }
  #heardAt = 0

  /**
   * @param base where the server's WebSockets are, such as `ws://127.0.0.1:8000/ws`
   * @param room document name
   * @param version of y-websocket: 1, 2 or 3
   * @param presence the awareness state to publish; null publishes none
   */
  constructor({ base, room, version = 3, presence = {} }) {
    super()
    this.setMaxListeners(0)
    this.doc = new Y.Doc()
    this.text = this.doc.getText(ROOT)
    this.typist = new Typist(this)
    const client = this
    this.provider = new PROVIDERS[version](base, encodeURIComponent(room), this.doc, {
      // Clients in one process would otherwise talk to each other past the server.
      disableBc: true,
      connect: false,
      WebSocketPolyfill: class extends WebSocket {
        constructor(...options) {
          super(...options)
          this.on('message', (frame) => client.#heard(new Uint8Array(frame)))
        }

        send(...options) {
          client.#traffic.sent += 1
          super.send(...options)
        }
      },
    })
    this.provider.awareness.setLocalState(presence)
    this.provider.on('status', ({ status }) => {
      this.#statuses.push(status)
      if (status === 'connected') {
        this.#traffic.connects += 1
        this.#heardAt = performance.now()
      }
      if (status !== 'connected') this.#synced = false
      this.emit('change')
    })
    const noteSync = (synced) => {
      this.#synced = synced
      if (synced) this.#traffic.syncs += 1
      this.emit('change')
    }
    this.provider.on('sync', noteSync)
    this.provider.on('connection-close', (event) => {
      if (event) this.#traffic.closes.push(event.code)
      this.emit('change')
    })
    this.doc.on('update', () => this.emit('change'))
    this.provider.awareness.on('change', () => this.emit('change'))
    this.provider.connect()
  }

  get synced() {
    return this.#synced
  }

  /** How much of what was typed here is known to be durable: the clock after the last echo. */
  get acknowledged() {
    return this.#acknowledged
  }

  get clock() {
    return Y.getState(this.doc.store, this.doc.clientID)
  }

  facts() {
    return {
      client_id: this.doc.clientID,
      text: this.text.toString(),
      statuses: this.#statuses.filter((status) => status !== 'connecting'),
      synced: this.#synced,
      bytes_received: this.#bytesReceived,
      acknowledged: this.#acknowledged,
      acknowledged_deletions: this.#acknowledgedDeletions,
      clock: this.clock,
      known: Object.fromEntries(Y.decodeStateVector(Y.encodeStateVector(this.doc))),
      typed: this.typist.typed.join(''),
      present: [...this.provider.awareness.getStates().keys()],
    }
  }

  insert({ at, text }) {
    this.text.insert(at, text)
  }

  /** What came over the wire, and how long it was silent at most while it was connected. */
  traffic() {
    return this.#traffic
  }

  /** SHA-256 of the text: for texts too long to be sent. */
  digest() {
    return createHash('sha256').update(this.text.toString()).digest('hex')
  }

  type({ seed, every_ms }) {
    this.typist.start(seed, every_ms)
  }

  rest() {
    this.typist.stop()
  }

  present({ presence }) {
    this.provider.awareness.setLocalState(presence)
  }

  /** Moves its cursor at a pace, from some time on; resolves after the last move. */
  async roam({ after_ms, every_ms, times }) {
    await wait(after_ms)
    let moves = 0
    for await (const _ of setInterval(every_ms)) {
      moves += 1
      this.provider.awareness.setLocalStateField('cursor', { anchor: moves, head: moves })
      if (moves >= times) return
    }
  }

  /** Ends the TCP connection without a WebSocket close and without a goodbye, for good. */
  cut() {
    this.provider.shouldConnect = false
    this.provider.ws._socket.destroy()
  }

  destroy() {
    this.typist.stop()
    this.provider.destroy()
    this.doc.destroy()
  }

  /** Types a recorded history as fast as the socket takes it; resolves once all was echoed. */
  async replay({ path }) {
    const edits = await replay(this, path)
    await this.when_acknowledged()
    return edits
  }

  when_synced() {
    return this.#when(() => this.#synced)
  }

  /** Resolves once so many bytes came. */
  when_received({ bytes }) {
    return this.#when(() => this.#bytesReceived >= bytes)
  }

  /** Resolves once the server has closed a connection with this code. */
  when_closed({ code }) {
    return this.#when(() => this.#traffic.closes.includes(code))
  }

  /** Resolves once nothing came for so long. */
  when_quiet({ ms }) {
    return new Promise((resolve) => {
      let timer
      const wait = () => {
        clearTimeout(timer)
        timer = setTimeout(() => {
          this.off('frame', wait)
          resolve()
        }, ms)
      }
      this.on('frame', wait)
      wait()
    })
  }

  /** Resolves once everything typed here was echoed. */
  when_acknowledged() {
    return this.#when(() => this.#acknowledged >= this.clock)
  }

  /** Resolves once something more than now was echoed. */
  when_acknowledged_more() {
    const now = this.#acknowledged
    return this.#when(() => this.#acknowledged > now)
  }

  /** Resolves once the server has brought something that others typed after this call. */
  when_hears_others() {
    return new Promise((resolve) => {
      const listen = (_update, origin) => {
        if (origin !== this.provider) return
        this.doc.off('update', listen)
        resolve()
      }
      this.doc.on('update', listen)
    })
  }

  when_disconnected() {
    return this.#when(() => !this.provider.wsconnected)
  }

  when_sees({ client_id }) {
    return this.#when(() => this.provider.awareness.getStates().has(client_id))
  }

  /** Resolves once the server has said that a client is gone. */
  when_told_gone({ client_id }) {
    return this.#when(() => this.#departed.has(client_id))
  }

  #when(isSo) {
    return new Promise((resolve) => {
      const look = () => {
        if (!isSo()) return
        this.off('change', look)
        resolve()
      }
      this.on('change', look)
      look()
    })
  }

  #heard(frame) {
    this.#bytesReceived += frame.byteLength
    this.#noteTraffic()
    const decoder = decoding.createDecoder(frame)
    const type = decoding.readVarUint(decoder)
    if (type === SYNC && decoding.readVarUint(decoder) === UPDATE) {
      this.#traffic.updates += 1
      this.#noteEcho(Y.decodeUpdate(decoding.readVarUint8Array(decoder)))
    } else if (type === AWARENESS) {
      this.#noteDepartures(decoding.createDecoder(decoding.readVarUint8Array(decoder)))
    }
    setImmediate(() => this.emit('change'))
  }

  #noteTraffic() {
    const now = performance.now()
    const silence = now - this.#heardAt
    this.#heardAt = now
    this.#traffic.frames += 1
    this.#traffic.longest_silence_ms = Math.max(this.#traffic.longest_silence_ms, silence)
    this.emit('frame')
  }

  #noteEcho({ structs, ds }) {
    const own = this.doc.clientID
    for (const { id, length } of structs) {
      if (id.client === own) this.#acknowledged = Math.max(this.#acknowledged, id.clock + length)
    }
    // Clients that type delete only what they inserted: deletions of it are echoes too.
    for (const { clock, len } of ds.clients.get(own) ?? []) {
      this.#acknowledgedDeletions.push([clock, len])
    }
  }

  #noteDepartures(decoder) {
    for (let left = decoding.readVarUint(decoder); left > 0; left -= 1) {
      const client = decoding.readVarUint(decoder)
      decoding.readVarUint(decoder)
      if (decoding.readVarString(decoder) === 'null') this.#departed.add(client)
      else this.#departed.delete(client)
    }
  }
}

/** Resolves once all clients are synced and hold the same document. */
export function whenAgreed(clients) {
  return new Promise((resolve) => {
    let looking = false
    const look = () => {
      looking = false
      if (!clients.every(({ synced }) => synced) || !haveSame(clients)) return
      for (const client of clients) client.off('change', schedule)
      resolve()
    }
    const schedule = () => {
      if (!looking) setTimeout(look, 5)
      looking = true
    }
    for (const client of clients) client.on('change', schedule)
    schedule()
  })
}

function haveSame([first, ...others]) {
  const vector = Buffer.from(Y.encodeStateVector(first.doc))
  const text = first.text.toString()
  return (
    others.every(({ doc }) => vector.equals(Y.encodeStateVector(doc))) &&
    others.every((other) => other.text.toString() === text) &&
    others.every(({ doc }) => Y.equalSnapshots(Y.snapshot(first.doc), Y.snapshot(doc)))
  )
}
