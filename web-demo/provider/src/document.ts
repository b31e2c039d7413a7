import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'

import type { Refusal } from './close-codes.js'
import { Emitter } from './emitter.js'
import type { Access, Message } from './frames.js'
import { type Listeners, Messages } from './messages.js'
import { Presence } from './presence.js'
import { type GetToken, Session } from './session.js'
import { Tabs } from './tabs.js'
import type { Timings } from './timings.js'

/** Where a document stands: its connection, and beyond that whether the server will have it. */
export type Status = 'connecting' | 'connected' | 'reconnecting' | 'offline' | 'refused'

/** Where a connection stands. */
export type ConnectionStatus = Exclude<Status, 'refused'>

/** Everything about where a document stands, at one moment. */
export interface Progress {
  readonly status: Status
  /** Whether the server's whole document has arrived on this connection. */
  readonly synced: boolean
  /** Whether the server has stored everything in the document. */
  readonly saved: boolean
  /** How many changes made here wait to be stored by the server. */
  readonly pendingChanges: number
  /** Whether the document is as large as one may be: the server takes deletions alone. */
  readonly full: boolean
  /** What the server allows; null while it has not said. */
  readonly access: Access | null
  /** Why the server will not have this client, where it will not. */
  readonly refusal: Refusal | null
}

export interface OpenOptions {
  /** The document to keep in sync; by default a new one, which ends with this. */
  doc?: Y.Doc
  /** Presence to publish; by default a new one on the document. */
  awareness?: Awareness
  /** When a copy on this device is loaded: the server is asked for what it lacks, not before. */
  loaded?: Promise<unknown>
}

export interface DocumentEvents {
  /** Any of it has changed. */
  progress: (progress: Progress) => void
  status: (status: Status) => void
  synced: (synced: boolean) => void
  saved: (saved: boolean) => void
  pending: (changes: number) => void
  full: (full: boolean) => void
  refused: (refusal: Refusal) => void
}

/** What a document needs of its connection. */
export interface Seat {
  /** What the document is called on the connection. */
  address: string
  getToken: GetToken | null
  timings: Timings
  listeners: Listeners
  /** What the channel of the tabs is called that go on together without a server; null where none do. */
  getChannel: () => string | null
  /** Where the connection stands. */
  status: () => ConnectionStatus
  /** Whether the application has it stay away. */
  isPaused: () => boolean
  send: (frame: Uint8Array) => void
  /** Whether it wants a connection has changed. */
  onwish: () => void
  onclose: () => void
}

/** A document that a connection keeps in sync; `Connection.open` makes them. */
export class CollabDocument extends Emitter<
  // It wants an index signature, which an interface lacks.
  { [Name in keyof DocumentEvents]: DocumentEvents[Name] }
> {
  readonly name: string
  readonly doc: Y.Doc
  readonly awareness: Awareness
  /** Who else is here. */
  readonly presence: Presence
  /** What applications say to each other here. */
  readonly messages: Messages
  readonly #seat: Seat
  readonly #session: Session
  readonly #tabs: Tabs
  readonly #owns: { doc: boolean; awareness: boolean }
  #progress: Progress
  /** What the server allowed last. */
  #lastAccess: Access | null = null
  #isClosed = false

  /** @internal */
  constructor(name: string, { doc, awareness, loaded }: OpenOptions, seat: Seat) {
    super()
    this.name = name
    this.#seat = seat
    this.#owns = { doc: doc === undefined, awareness: awareness === undefined }
    this.doc = doc ?? new Y.Doc()
    this.awareness = awareness ?? new Awareness(this.doc)
    this.presence = new Presence(this.awareness)
    this.messages = new Messages(name, (text) => this.#session.say(text), seat.listeners)
    this.#session = new Session({
      name,
      address: seat.address,
      doc: this.doc,
      awareness: this.awareness,
      getToken: seat.getToken,
      loaded: loaded ?? null,
      timings: seat.timings,
      send: seat.send,
      onchange: () => this.update(),
      onmessage: (text) => this.messages.receive(text),
    })
    this.#tabs = new Tabs({
      doc: this.doc,
      awareness: this.awareness,
      loaded: loaded ?? null,
      timings: seat.timings,
      getChannel: seat.getChannel,
    })
    this.#progress = this.#measure()
    this.#followTabs(this.#progress)
    this.doc.on('destroy', this.#onDocDestroy)
  }

  /** Where it stands: the same object until something changes. */
  get progress(): Progress {
    return this.#progress
  }

  get status(): Status {
    return this.#progress.status
  }

  get synced(): boolean {
    return this.#progress.synced
  }

  get saved(): boolean {
    return this.#progress.saved
  }

  get pendingChanges(): number {
    return this.#progress.pendingChanges
  }

  get full(): boolean {
    return this.#progress.full
  }

  get access(): Access | null {
    return this.#progress.access
  }

  get refusal(): Refusal | null {
    return this.#progress.refusal
  }

  /** Tries again after a refusal, with another token where there is one to be had. */
  reopen(): void {
    if (this.#isClosed || this.refusal === null) return
    this.#session.reopen()
    this.#seat.onwish()
  }

  /** Leaves the document for good. A `Y.Doc` that was given stays as it is. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.doc.off('destroy', this.#onDocDestroy)
    this.#tabs.follow(false)
    this.#session.destroy()
    this.messages.interrupt()
    this.presence.destroy()
    this.#progress = { ...this.#measure(), status: 'offline' }
    if (this.#owns.awareness) this.awareness.destroy()
    if (this.#owns.doc) this.doc.destroy()
    this.#seat.onclose()
    super.destroy()
  }

  override destroy(): void {
    this.close()
  }

  /** @internal The connection is open. */
  connected(): void {
    this.#session.open()
    this.update()
  }

  /** @internal The connection has ended. */
  disconnected(): void {
    this.#session.interrupt()
    this.messages.interrupt()
    this.update()
    // The session has let go of everybody who was here.
    this.#tabs.ask()
  }

  /** @internal Has the server say something; tells whether it can. */
  probe(): boolean {
    return this.#session.probe()
  }

  /** @internal */
  receive(message: Message): void {
    this.#session.receive(message)
  }

  /** @internal Has the next greeting show another token. */
  forgetToken(): void {
    this.#session.forgetToken()
  }

  /** @internal The server will not have this client at all. */
  refuse(refusal: Refusal): void {
    this.#session.refuse(refusal)
  }

  /** @internal Looks at where it stands, and tells what has changed. */
  update(): void {
    if (this.#isClosed) return
    const before = this.#progress
    const progress = this.#measure()
    this.#followTabs(progress)
    const keys = Object.keys(progress) as (keyof Progress)[]
    if (keys.every((key) => progress[key] === before[key])) return
    this.#progress = progress
    const { status, synced, saved, pendingChanges, full, refusal } = progress
    if (status !== before.status) this.emit('status', [status])
    if (synced !== before.synced) this.emit('synced', [synced])
    if (pendingChanges !== before.pendingChanges) this.emit('pending', [pendingChanges])
    if (full !== before.full) this.emit('full', [full])
    if (saved !== before.saved) this.emit('saved', [saved])
    if (refusal !== before.refusal) {
      if (refusal) this.emit('refused', [refusal])
      this.#seat.onwish()
    }
    this.emit('progress', [progress])
  }

  /** Goes on with the other tabs while the server is out of reach. */
  #followTabs({ status, access }: Progress): void {
    if (access !== null) this.#lastAccess = access
    const isApart = status !== 'connected' && status !== 'refused' && !this.#seat.isPaused()
    // Who may only read has nothing to pass on, and could store nothing of what others write.
    this.#tabs.follow(isApart && this.#lastAccess !== 'readonly')
  }

  readonly #onDocDestroy = (): void => this.close()

  #measure(): Progress {
    const { isSynced, isSaved, isFull, isAdmitted, pendingChanges, access, refusal } = this.#session
    return {
      status: refusal ? 'refused' : this.#statusOf(isAdmitted),
      synced: isSynced,
      saved: isSaved,
      pendingChanges,
      full: isFull,
      access,
      refusal,
    }
  }

  /** Connected is who was let in. */
  #statusOf(isAdmitted: boolean): ConnectionStatus {
    const status = this.#seat.status()
    if (status !== 'connected' || isAdmitted) return status
    return this.#progress?.status === 'connecting' || !this.#progress ? 'connecting' : 'reconnecting'
  }
}
