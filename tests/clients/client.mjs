import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { setInterval, setTimeout as wait } from 'node:timers/promises'

import * as decoding from 'lib0/decoding'
import * as Yjs from 'yjs'

import { CollabLink } from './collab-provider.mjs'
import { HocuspocusLink } from './hocuspocus.mjs'
import { Typist } from './typist.mjs'
import { replay } from './trace.mjs'
import { YSweetLink } from './y-sweet.mjs'
import { YWebsocketLink } from './y-websocket.mjs'

const LINKS = {
  'y-websocket': YWebsocketLink,
  hocuspocus: HocuspocusLink,
  'y-sweet': YSweetLink,
  'collab-provider': CollabLink,
}

const ROOT = 'content'
const [SYNC, AWARENESS] = [0, 1]
const UPDATE = 2

/** A stock provider on its own document, and a record of what it went through. */
export class Client extends EventEmitter {
  #Y
  #link
  #statuses = []
  #synced = false
  #bytesReceived = 0
  #acknowledged = 0
  #acknowledgedDeletions = []
  #durable = []
  #departed = new Set()
  #admissions = 0
  #refusals = []
  #messages = []
  #traffic = { connects: 0, closes: [], syncs: 0, frames: 0, updates: 0, sent: 0, longest_silence_ms: 0, longest_absence_ms: 0 }
  #heardAt = 0
  #lostAt = null

  /**
   * @param family of client: `y-websocket`, `hocuspocus`, `y-sweet` or `collab-provider`
   * @param version of it, the major number
   * @param base where the server speaks with such clients
   * @param room document name
   * @param presence the awareness state to publish; null publishes none
   * @param tokens what it shows, one after the other; the last one from then on
   * @param options what that family takes besides
   */
  constructor({ family, version, base, room, presence = {}, tokens = [], ...options }) {
    super()
    this.setMaxListeners(0)
    const Link = LINKS[family]
    this.#Y = Link.yjs(version)
    this.doc = new this.#Y.Doc()
    // Version 14 of Yjs has one type for everything.
    this.text = this.doc.getText?.(ROOT) ?? this.doc.get(ROOT)
    this.typist = new Typist(this)
    this.#link = new Link({ base, room, version, doc: this.doc, tokens, ...options })
    this.awareness.setLocalState(presence)
    this.#listen()
    this.#link.connect()
  }

  #listen() {
    const link = this.#link
    link.on('status', (status) => {
      this.#statuses.push(status)
      if (status === 'connected') {
        this.#traffic.connects += 1
        this.#heardAt = performance.now()
      } else {
        if (this.#synced) this.#lostAt = performance.now()
        this.#synced = false
      }
      this.emit('change')
    })
    link.on('sync', (synced) => {
      if (this.#synced && !synced) this.#lostAt = performance.now()
      this.#synced = synced
      if (synced) this.#noteSync()
      this.emit('change')
    })
    link.on('closed', (code) => {
      this.#traffic.closes.push(code)
      this.emit('change')
    })
    link.on('saved', (clock = this.clock) => {
      this.#acknowledged = Math.max(this.#acknowledged, clock)
      this.emit('change')
    })
    link.on('durable', (update) => this.#noteDurable(Yjs.decodeUpdate(update)))
    link.on('refused', (reason) => {
      this.#refusals.push(reason)
      this.emit('change')
    })
    link.on('message', (payload) => {
      this.#messages.push(payload)
      this.emit('change')
    })
    link.on('admitted', () => {
      this.#admissions += 1
      this.emit('change')
    })
    link.on('sent', () => (this.#traffic.sent += 1))
    link.on('heard', (frame, message) => this.#heard(frame, message))
    this.doc.on('update', () => this.emit('change'))
    this.awareness.on('change', () => this.emit('change'))
  }

  get awareness() {
    return this.#link.awareness
  }

  get synced() {
    return this.#synced
  }

  get bufferedBytes() {
    return this.#link.bufferedBytes
  }

  /** Whether the server has said of everything typed here that it is durable. */
  get isSaved() {
    return this.#link.echoes ? this.#acknowledged >= this.clock : this.#link.isSaved
  }

  get clock() {
    return this.#clocks().get(this.doc.clientID) ?? 0
  }

  facts() {
    return {
      client_id: this.doc.clientID,
      text: this.text.toString(),
      statuses: this.#statuses.filter((status) => status !== 'connecting'),
      synced: this.#synced,
      saved: this.isSaved,
      access: this.#link.access,
      bytes_received: this.#bytesReceived,
      acknowledged: this.#acknowledged,
      acknowledged_deletions: this.#acknowledgedDeletions,
      durable: this.#durable,
      clock: this.clock,
      known: Object.fromEntries(this.#clocks()),
      typed: this.typist.typed.join(''),
      present: [...this.awareness.getStates().keys()],
      refusals: this.#refusals,
      messages: this.#messages,
    }
  }

  /** What makes two documents the same: SHA-256 of clocks, deletions and the text. */
  fingerprint() {
    const { encodeSnapshot, snapshot } = this.#Y
    const hash = createHash('sha256').update(encodeSnapshot(snapshot(this.doc)))
    return hash.update(this.text.toString()).digest('hex')
  }

  /** Resolves once the fingerprint is another one. */
  when_other_than({ fingerprint }) {
    return this.#when(() => this.fingerprint() !== fingerprint)
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

  type({ seed, every_ms, mark }) {
    this.typist.start(seed, every_ms, mark)
  }

  rest() {
    this.typist.stop()
  }

  present({ presence }) {
    this.awareness.setLocalState(presence)
  }

  /** Moves its cursor at a pace, from some time on; resolves after the last move. */
  async roam({ after_ms, every_ms, times }) {
    await wait(after_ms)
    let moves = 0
    for await (const _ of setInterval(every_ms)) {
      moves += 1
      this.awareness.setLocalStateField('cursor', { anchor: moves, head: moves })
      if (moves >= times) return
    }
  }

  /** Ends the TCP connection without a WebSocket close and without a goodbye, for good. */
  cut() {
    this.#link.cut()
  }

  destroy() {
    this.typist.stop()
    this.#link.destroy()
    this.doc.destroy()
  }

  /** Sends an application's message to the room. */
  say({ payload }) {
    this.#link.say(payload)
  }

  /** Comes back with the next token after one that was refused. */
  retry() {
    this.#link.retry()
  }

  /** Shows the next token in place of one that is still good. */
  refresh() {
    this.#link.refresh()
  }

  /** Types a recorded history, and may wait for echoes meanwhile; resolves once all was echoed. */
  async replay({ path, waits = false }) {
    const edits = await replay(this, path, waits)
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

  /** Resolves once everything typed here is durable. */
  when_acknowledged() {
    return this.#when(() => this.isSaved)
  }

  /** Resolves once something more than now is durable. */
  when_acknowledged_more() {
    const now = this.#acknowledged
    return this.#when(() => this.#acknowledged > now)
  }

  /** Resolves once the server has brought something that others typed after this call. */
  when_hears_others() {
    return new Promise((resolve) => {
      const listen = (_update, origin) => {
        if (!this.#link.isOrigin(origin)) return
        this.doc.off('update', listen)
        resolve()
      }
      this.doc.on('update', listen)
    })
  }

  when_disconnected() {
    return this.#when(() => !this.#link.isConnected)
  }

  when_sees({ client_id }) {
    return this.#when(() => this.awareness.getStates().has(client_id))
  }

  /** Resolves once exactly these are here. */
  when_sees_only({ client_ids }) {
    return this.#when(() => {
      const here = this.awareness.getStates()
      return here.size === client_ids.length && client_ids.every((id) => here.has(id))
    })
  }

  /** Resolves once the server has said that a client is gone. */
  when_told_gone({ client_id }) {
    return this.#when(() => this.#departed.has(client_id))
  }

  when_shows({ text }) {
    return this.#when(() => this.text.toString() === text)
  }

  /** Resolves once this can be read in the text. */
  when_hears({ text }) {
    return this.#when(() => this.text.toString().includes(text))
  }

  /** Resolves once the server says that this may be done. */
  when_access({ access }) {
    return this.#when(() => this.#link.access === access)
  }

  /** Resolves once it was refused so often. */
  when_refused({ times }) {
    return this.#when(() => this.#refusals.length >= times)
  }

  /** Resolves once it was let in so often: with each connection, or with each token. */
  when_admitted({ times }) {
    return this.#when(() => this.#admissions >= times)
  }

  when_message({ payload }) {
    return this.#when(() => this.#messages.includes(payload))
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

  #clocks() {
    return this.#Y.decodeStateVector(this.#Y.encodeStateVector(this.doc))
  }

  #heard(frame, message) {
    this.#bytesReceived += frame.byteLength
    this.#noteTraffic()
    const decoder = decoding.createDecoder(message)
    const type = decoding.readVarUint(decoder)
    if (type === SYNC && decoding.readVarUint(decoder) === UPDATE) {
      this.#traffic.updates += 1
      if (this.#link.echoes) this.#noteEcho(Yjs.decodeUpdate(decoding.readVarUint8Array(decoder)))
    } else if (type === AWARENESS) {
      this.#noteDepartures(decoding.createDecoder(decoding.readVarUint8Array(decoder)))
    }
    setImmediate(() => this.emit('change'))
  }

  #noteSync() {
    this.#traffic.syncs += 1
    if (this.#lostAt === null) return
    const absence = performance.now() - this.#lostAt
    this.#lostAt = null
    this.#traffic.longest_absence_ms = Math.max(this.#traffic.longest_absence_ms, absence)
  }

  #noteTraffic() {
    const now = performance.now()
    const silence = now - this.#heardAt
    this.#heardAt = now
    this.#traffic.frames += 1
    this.#traffic.longest_silence_ms = Math.max(this.#traffic.longest_silence_ms, silence)
    this.emit('frame')
  }

  #noteDurable({ structs }) {
    for (const struct of structs) {
      if (struct.id.client !== this.doc.clientID || struct instanceof Yjs.Skip) continue
      const { clock } = struct.id
      const last = this.#durable.at(-1)
      // One range for what follows each other: what is typed in minutes is told in moments.
      if (last && last[0] <= clock && clock <= last[0] + last[1]) {
        last[1] = Math.max(last[1], clock + struct.length - last[0])
      } else this.#durable.push([clock, struct.length])
    }
  }

  #noteEcho({ structs, ds }) {
    this.#noteDurable({ structs })
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
  const fingerprint = first.fingerprint()
  return others.every((other) => other.fingerprint() === fingerprint)
}
