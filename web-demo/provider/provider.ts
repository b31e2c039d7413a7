import { ObservableV2 } from 'lib0/observable'
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness'
import * as Y from 'yjs'

import { readFrame, writeAwareness, writeStep1, writeStep2, writeUpdate } from './frames.js'
import { Ledger } from './ledger.js'
import { Link, type Refusal, type Status, type WebSocketClass } from './link.js'

export interface CollabProviderOptions {
  /** Presence to publish; by default a new one on the document. */
  awareness?: Awareness
  /** Whether to connect at once (default), or when `connect()` is called. */
  connect?: boolean
  /** Gives the token to present; asked anew when the server says it expired. */
  getToken?: () => Promise<string> | string
  /** The WebSocket class, where the platform has none. */
  WebSocket?: WebSocketClass
  /** Bound of the first wait before reconnecting, milliseconds: 100. */
  backoffBaseMs?: number
  /** Bound of every wait before reconnecting, milliseconds: 5,000. */
  backoffCapMs?: number
  /** The least wait when the server asks for one, milliseconds: 2,000. */
  tryAgainMs?: number
  /** A connection without any message for this long is dropped, milliseconds: 30,000. */
  silenceMs?: number
}

export interface CollabProviderEvents {
  status: (status: Status) => void
  /** The server's whole document has arrived, or the connection that brought it ended. */
  synced: (synced: boolean) => void
  /** Every change of the document has been stored by the server, or no longer so. */
  saved: (saved: boolean) => void
  /** How many changes made here wait to be stored by the server. */
  pending: (changes: number) => void
  /** The server will not have this client; it does not try again by itself. */
  refused: (refusal: Refusal) => void
}

interface AwarenessChange {
  added: number[]
  updated: number[]
  removed: number[]
}

/** Keeps a Y.Doc and its presence in sync with a collab server over a WebSocket. */
export class CollabProvider extends ObservableV2<
  // ObservableV2 wants an index signature, which an interface lacks.
  { [Name in keyof CollabProviderEvents]: CollabProviderEvents[Name] }
> {
  readonly name: string
  readonly doc: Y.Doc
  readonly awareness: Awareness
  readonly #ownsAwareness: boolean
  readonly #link: Link
  readonly #ledger: Ledger
  #token: string | undefined
  #deniedReason = ''
  #synced = false
  #saved = false
  #pendingChanges = 0
  /** Whether the server's state vector was answered on this connection: updates may follow. */
  #answered = false
  #everAnswered = false

  /**
   * @param base where the server is mounted, such as `https://example.org/collab/`
   * @param name the document's name
   * @param doc the document to keep in sync
   */
  constructor(base: string | URL, name: string, doc: Y.Doc, options: CollabProviderOptions = {}) {
    super()
    this.name = name
    this.doc = doc
    this.awareness = options.awareness ?? new Awareness(doc)
    this.#ownsAwareness = options.awareness === undefined
    this.#ledger = new Ledger(doc.store.clients.size > 0)
    const url = new URL(String(base))
    url.protocol = url.protocol.replace(/^http/, 'ws')
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/ws/${encodeURIComponent(name)}`
    const getToken = options.getToken
    this.#link = new Link({
      WebSocket: options.WebSocket ?? WebSocket,
      renewable: getToken !== undefined,
      address: async (renew) => {
        if (getToken && (renew || this.#token === undefined)) this.#token = await getToken()
        if (this.#token !== undefined) url.searchParams.set('token', this.#token)
        return url.href
      },
      backoffBaseMs: options.backoffBaseMs ?? 100,
      backoffCapMs: options.backoffCapMs ?? 5_000,
      tryAgainMs: options.tryAgainMs ?? 2_000,
      silenceMs: options.silenceMs ?? 30_000,
      onopen: () => this.#greet(),
      onframe: (bytes) => this.#receive(bytes),
      onclose: () => this.#part(),
      onstatus: (status) => this.#announce(status),
    })
    doc.on('update', this.#onUpdate)
    doc.on('destroy', this.#onDocDestroy)
    this.awareness.on('update', this.#onAwareness)
    if (options.connect ?? true) this.connect()
  }

  get status(): Status {
    return this.#link.status
  }

  /** Why the server refused this client, where it did. */
  get refusal(): Refusal | null {
    const refusal = this.#link.refusal
    return refusal && { code: refusal.code, reason: refusal.reason || this.#deniedReason }
  }

  /** Whether the server's whole document has arrived on this connection. */
  get synced(): boolean {
    return this.#synced
  }

  /** Whether the server has stored everything in the document. */
  get saved(): boolean {
    return this.#saved
  }

  /** How many changes made here wait to be stored by the server. */
  get pendingChanges(): number {
    return this.#pendingChanges
  }

  /** Connects, and reconnects from now on; also after a refusal. */
  connect(): void {
    this.#link.open()
  }

  /** Says goodbye and stays away until `connect()`. */
  disconnect(): void {
    this.#sendPresence([this.doc.clientID], true)
    this.#link.close()
  }

  /** Disconnects for good; the document stays as it is. */
  override destroy(): void {
    this.disconnect()
    this.doc.off('update', this.#onUpdate)
    this.doc.off('destroy', this.#onDocDestroy)
    this.awareness.off('update', this.#onAwareness)
    if (this.#ownsAwareness) this.awareness.destroy()
    super.destroy()
  }

  readonly #onDocDestroy = (): void => this.destroy()

  readonly #onUpdate = (
    update: Uint8Array,
    origin: unknown,
    _doc: Y.Doc,
    transaction: Y.Transaction,
  ): void => {
    if (origin === this) return
    if (this.#answered && this.#link.send(writeUpdate(update))) this.#ledger.send(update)
    else this.#ledger.keep(transaction.local)
    this.#publish()
  }

  readonly #onAwareness = ({ added, updated, removed }: AwarenessChange): void => {
    // Each client speaks for itself alone: what others said comes from the server to everyone.
    const own = this.doc.clientID
    if ([...added, ...updated, ...removed].includes(own)) this.#sendPresence([own])
  }

  #greet(): void {
    this.#link.send(writeStep1(Y.encodeStateVector(this.doc)))
    this.#renewPresence()
  }

  #receive(bytes: Uint8Array): void {
    const frame = readFrame(bytes)
    switch (frame.type) {
      case 'step1': {
        const answer = this.#ledger.answer(this.doc, frame.stateVector)
        this.#link.send(writeStep2(answer))
        this.#answered = this.#everAnswered = true
        this.#link.welcome()
        break
      }
      case 'step2':
        Y.applyUpdate(this.doc, frame.update, this)
        this.#setSynced(true)
        break
      case 'update':
        this.#ledger.acknowledge(frame.update)
        Y.applyUpdate(this.doc, frame.update, this)
        break
      case 'awareness':
        applyAwarenessUpdate(this.awareness, frame.update, this)
        break
      case 'queryAwareness':
        this.#sendPresence([this.doc.clientID])
        break
      case 'denied':
        this.#deniedReason = frame.reason
        break
      case 'unknown':
        break
    }
    this.#publish()
  }

  #part(): void {
    this.#answered = false
    this.#ledger.interrupt()
    const others = [...this.awareness.getStates().keys()].filter((id) => id !== this.doc.clientID)
    removeAwarenessStates(this.awareness, others, this)
    // Forget their clocks too: they come back with the same ones and would be taken for stale.
    for (const id of others) this.awareness.meta.delete(id)
    // The server told the others that we left, with the clock after our last: be past that one.
    this.#renewPresence()
    this.#setSynced(false)
    this.#publish()
  }

  #renewPresence(): void {
    const present = this.awareness.getLocalState()
    if (present !== null) this.awareness.setLocalState(present)
  }

  #sendPresence(clients: number[], gone = false): void {
    if (!this.awareness.meta.has(this.doc.clientID)) return
    const states = gone ? new Map<number, Record<string, unknown>>() : this.awareness.states
    this.#link.send(writeAwareness(encodeAwarenessUpdate(this.awareness, clients, states)))
  }

  #announce(status: Status): void {
    this.emit('status', [status])
    const refusal = this.refusal
    if (status === 'refused' && refusal) this.emit('refused', [refusal])
  }

  #setSynced(synced: boolean): void {
    if (synced === this.#synced) return
    this.#synced = synced
    this.emit('synced', [synced])
  }

  #publish(): void {
    const pending = this.#ledger.pending
    const saved = this.#everAnswered && this.#ledger.isClear
    if (pending !== this.#pendingChanges) {
      this.#pendingChanges = pending
      this.emit('pending', [pending])
    }
    if (saved !== this.#saved) {
      this.#saved = saved
      this.emit('saved', [saved])
    }
  }
}
