import {
  type Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates,
} from 'y-protocols/awareness'
import * as Y from 'yjs'

import { backoffMs } from './backoff.js'
import { CloseCode, judge, type Refusal } from './close-codes.js'
import { Doubts } from './doubts.js'
import {
  type Access,
  type Message,
  writeAwareness,
  writeClose,
  writeStateless,
  writeStep1,
  writeStep2,
  writeToken,
  writeUpdate,
} from './frames.js'
import { Ledger } from './ledger.js'
import { PART_BYTES, split, splitDeletions } from './parts.js'
import { Reminder } from './reminder.js'
import { Throttle } from './throttle.js'
import type { Timings } from './timings.js'

/** Gives the token for a document. */
export type GetToken = (document: string) => Promise<string> | string

/** What a session needs of its document and its connection. */
export interface SessionOptions {
  name: string
  /** What the document is called on the connection, of all that were opened there this one alone. */
  address: string
  doc: Y.Doc
  awareness: Awareness
  getToken: GetToken | null
  /** Nothing is said before this: a copy on the device may be loading. */
  loaded: Promise<unknown> | null
  timings: Timings
  /** Sends a frame on the connection, which is open. */
  send: (frame: Uint8Array) => void
  /** Something below has changed. */
  onchange: () => void
  onmessage: (text: string) => void
}

/** An update without any insertion: its list of structs is empty. */
const holdsNothing = (update: Uint8Array): boolean => update[0] === 0

/** Whether a transaction that is over has changed its document. */
function hasChanged({ doc, deleteSet, beforeState, afterState }: Y.Transaction): boolean {
  // Without a state after it Yjs has not come to it: what is there now tells.
  const now = afterState.size > 0 ? afterState : Y.decodeStateVector(Y.encodeStateVector(doc))
  return deleteSet.clients.size > 0 || [...now].some(([client, clock]) => beforeState.get(client) !== clock)
}

/** One document on a connection: its token, its sync, what is durable, and presence. */
export class Session {
  refusal: Refusal | null = null
  access: Access | null = null
  isSynced = false
  /** Whether the server has let it in on this connection. */
  isAdmitted = false
  readonly #options: SessionOptions
  readonly #ledger = new Ledger()
  readonly #presence: Throttle
  /** Sends anew what a full document has refused: somebody may have made room. */
  readonly #refused: Reminder
  /** Transactions of which no update has told. */
  readonly #untold = new Set<Y.Transaction>()
  #isLoaded: boolean
  #isOpen = false
  /** Whether the token was shown: what follows is read by the server. */
  #isGreeted = false
  /** Whether the server's state vector was answered: changes may follow. */
  #isAnswered = false
  #token: string | null = null
  #isRenewing = false
  /** Counts greetings, to know what is stale after a wait. */
  #serial = 0
  #attempt = 0
  #admittedAtMs = 0
  readonly #doubts = new Doubts()
  #retry: ReturnType<typeof setTimeout> | undefined
  #hasEnded = false

  constructor(options: SessionOptions) {
    this.#options = options
    const { doc, awareness, loaded, timings } = options
    this.#presence = new Throttle(timings.presenceMs, () => this.#sendPresence())
    this.#refused = new Reminder(timings.fullMs, timings.fullCapMs, () => {
      if (this.isFull) this.#ask()
    })
    this.#isLoaded = loaded === null
    if (loaded) {
      const begin = (): void => {
        this.#isLoaded = true
        if (this.#isOpen) void this.#greet()
      }
      // A copy that cannot be read is none.
      loaded.then(begin, begin)
    }
    doc.on('beforeTransaction', this.#onTransaction)
    doc.on('update', this.#onUpdate)
    awareness.on('update', this.#onAwareness)
  }

  /** Whether everything in the document is durable. */
  get isSaved(): boolean {
    return this.#isLoaded && this.#ledger.isClear
  }

  /** Whether the server takes deletions alone because the document is as large as one may be. */
  get isFull(): boolean {
    // Of who may write it refuses nothing else.
    return this.access === 'read-write' && this.#ledger.hasRefusal
  }

  /** How many changes made here wait to be stored. */
  get pendingChanges(): number {
    return this.#ledger.pending
  }

  /** The connection is open. */
  open(): void {
    this.#isOpen = true
    if (this.refusal === null) void this.#greet()
  }

  /** The connection has ended. */
  interrupt(): void {
    this.#isOpen = false
    this.#part()
  }

  /** Has the next greeting show another token. */
  forgetToken(): void {
    this.#token = null
  }

  /** The server will not have it, until `reopen`. */
  refuse(refusal: Refusal): void {
    this.refusal = refusal
    this.#part()
    this.#options.onchange()
  }

  /** Tries again after a refusal. */
  reopen(): void {
    this.refusal = null
    this.#token = null
    this.#isRenewing = false
    this.#attempt = 0
    this.#doubts.clear()
    if (this.#isOpen) void this.#greet()
    this.#options.onchange()
  }

  /** Sends an application's text to the room; tells whether it could. */
  say(text: string): boolean {
    if (this.isAdmitted) this.#options.send(writeStateless(this.#options.address, text))
    return this.isAdmitted
  }

  /** Has the server say something at once; tells whether it was asked. */
  probe(): boolean {
    // It answers this also where there is nothing new.
    if (this.isAdmitted) this.#ask()
    return this.isAdmitted
  }

  /** Leaves the document for good. */
  destroy(): void {
    const { address, doc, awareness, send } = this.#options
    this.#hasEnded = true
    if (this.#isGreeted) {
      if (awareness.meta.has(doc.clientID)) {
        send(writeAwareness(address, encodeAwarenessUpdate(awareness, [doc.clientID], new Map())))
      }
      send(writeClose(address))
    }
    doc.off('beforeTransaction', this.#onTransaction)
    doc.off('update', this.#onUpdate)
    awareness.off('update', this.#onAwareness)
    this.#isOpen = false
    this.#part()
  }

  /**
   * Takes in what the server says of this document.
   *
   * @throws what a listener of the application's throws; the message is taken in all the same
   */
  receive(message: Message): void {
    try {
      this.#take(message)
    } finally {
      this.#options.onchange()
    }
  }

  #take(message: Message): void {
    const { address, doc, awareness, send, onmessage } = this.#options
    switch (message.type) {
      case 'step1':
        this.#answer(message.stateVector)
        break
      case 'step2':
        try {
          Y.applyUpdate(doc, message.update, this)
        } finally {
          this.isSynced = true
        }
        break
      case 'update':
        this.#refused.hasten()
        Y.applyUpdate(doc, message.update, this)
        break
      case 'awareness':
        applyAwarenessUpdate(awareness, message.update, this)
        break
      case 'queryAwareness':
        // An empty list says that this client lives, where it shows nothing.
        if (!this.#sendPresence()) send(writeAwareness(address, Uint8Array.of(0)))
        break
      case 'askToken':
        void this.#refresh()
        break
      case 'admitted':
        this.#admit(message.access)
        break
      case 'receipt':
        this.#ledger.receive(message.accepted)
        if (this.isFull) this.#refused.set()
        else this.#refused.cancel()
        break
      case 'denied':
      case 'closed':
        this.#dismiss(message.code ?? CloseCode.UNAUTHENTICATED, message.reason)
        break
      case 'stateless':
        onmessage(message.payload)
        break
      case 'unknown':
        break
    }
  }

  readonly #onTransaction = (transaction: Y.Transaction): void => {
    if (transaction.origin === this) return
    if (this.#untold.size === 0) queueMicrotask(() => this.#findUntold())
    this.#untold.add(transaction)
  }

  /** Looks for changes that Yjs keeps to itself: where a listener of updates fails, it calls none after it. */
  #findUntold(): void {
    const changes = [...this.#untold].filter(hasChanged)
    this.#untold.clear()
    if (changes.length === 0 || this.#hasEnded) return
    for (const { local } of changes) this.#ledger.keep(local)
    this.#options.onchange()
    // What is kept back goes with the answer to the server's question.
    if (this.#isAnswered && this.access === 'read-write') this.#ask()
  }

  readonly #onUpdate = (
    update: Uint8Array,
    origin: unknown,
    _doc: Y.Doc,
    transaction: Y.Transaction,
  ): void => {
    this.#untold.delete(transaction)
    if (origin === this) return
    if (transaction.local) this.#refused.hasten()
    if (this.#isAnswered && this.access === 'read-write') {
      const parts = split(update, PART_BYTES)
      this.#ledger.send(transaction.local, parts.length)
      for (const part of parts) this.#options.send(writeUpdate(this.#options.address, part))
    } else {
      this.#ledger.keep(transaction.local)
    }
    this.#options.onchange()
  }

  readonly #onAwareness = (changes: Record<'added' | 'updated' | 'removed', number[]>): void => {
    // Each client speaks for itself alone: what others said comes from the server to everyone.
    const own = this.#options.doc.clientID
    const { added, updated, removed } = changes
    if ([added, updated, removed].some((clients) => clients.includes(own))) this.#presence.ask()
  }

  /** Shows the token, asks for the document, and shows presence: without waiting in between. */
  async #greet(): Promise<void> {
    if (!this.#isLoaded) return
    clearTimeout(this.#retry)
    const token = await this.#obtainToken()
    if (token === null) return
    const { address, send } = this.#options
    send(writeToken(address, token))
    this.#ask()
    this.#isGreeted = true
    this.#sendPresence()
  }

  /** Shows another token in place of one that is about to expire. */
  async #refresh(): Promise<void> {
    this.#token = null
    const token = await this.#obtainToken()
    if (token !== null) this.#options.send(writeToken(this.#options.address, token))
  }

  /** The token to show; null where it came too late, or where it is tried again later. */
  async #obtainToken(): Promise<string | null> {
    this.#serial += 1
    const serial = this.#serial
    const { getToken, name } = this.#options
    try {
      const token = this.#token ?? (getToken ? await getToken(name) : '')
      if (serial !== this.#serial || !this.#isOpen) return null
      return (this.#token = token)
    } catch {
      // Where tokens come from may be out of reach, as the server may be.
      if (serial === this.#serial) this.#later(0)
      return null
    }
  }

  #admit(access: Access): void {
    const mayWriteNow = this.access !== 'read-write' && access === 'read-write'
    this.access = access
    if (!this.isAdmitted) this.#admittedAtMs = Date.now()
    this.isAdmitted = true
    this.#isRenewing = false
    if (this.#isAnswered && mayWriteNow && !this.#ledger.isClear) {
      // What was kept back, or refused, goes with the answer to the server's question.
      this.#ask()
    }
  }

  /** Asks for what the server has; it asks back, and is answered with all that it lacks. */
  #ask(): void {
    const { address, doc, send } = this.#options
    send(writeStep1(address, Y.encodeStateVector(doc)))
  }

  #answer(stateVector: Uint8Array): void {
    const { address, doc, send } = this.#options
    const update = Y.encodeStateAsUpdate(doc, stateVector)
    const parts = split(update, PART_BYTES)
    // A full document takes deletions that come alone, and has room for the rest then.
    if (this.isFull) parts.unshift(...splitDeletions(update, stateVector, PART_BYTES))
    this.#ledger.answer(!holdsNothing(update), parts.length)
    this.#isAnswered = true
    // Each as a step 2: of those the server takes deletions it knows also from who may only read.
    for (const part of parts) send(writeStep2(address, part))
  }

  /** The server has refused the token, or closed the document. */
  #dismiss(code: number, reason: string): void {
    this.#part()
    const verdict = judge(code)
    if (verdict === 'renew') {
      if (!this.#options.getToken || this.#isRenewing) return this.refuse({ code, reason })
      this.#isRenewing = true
      this.#token = null
      if (this.#attempt > 0) return this.#later(0)
      this.#attempt = 1
      void this.#greet()
    } else if (verdict === 'stop') {
      this.refuse({ code, reason })
    } else if (verdict === 'doubt') {
      if (this.#doubts.add(Date.now())) this.refuse({ code, reason })
      else this.#later(0)
    } else {
      this.#later(verdict === 'wait' ? this.#options.timings.tryAgainMs : 0)
    }
  }

  /** Greets again after a while. */
  #later(leastMs: number): void {
    const { backoffBaseMs, backoffCapMs } = this.#options.timings
    clearTimeout(this.#retry)
    if (!this.#isOpen) return
    const waitMs = leastMs + backoffMs(this.#attempt, backoffBaseMs, backoffCapMs, Math.random())
    this.#attempt += 1
    this.#retry = setTimeout(() => void this.#greet(), waitMs)
  }

  /** Nothing more comes until the next greeting. */
  #part(): void {
    this.#serial += 1
    clearTimeout(this.#retry)
    const { backoffCapMs } = this.#options.timings
    // Who is let in and sent away again has not come through yet.
    if (this.isAdmitted && Date.now() - this.#admittedAtMs >= backoffCapMs) this.#attempt = 0
    this.#presence.cancel()
    this.#refused.cancel()
    this.#isAnswered = this.#isGreeted = this.isAdmitted = this.isSynced = false
    this.access = null
    this.#ledger.interrupt()
    this.#loseOthers()
  }

  #loseOthers(): void {
    const { doc, awareness } = this.#options
    const others = [...awareness.getStates().keys()].filter((id) => id !== doc.clientID)
    removeAwarenessStates(awareness, others, this)
    // Forget their clocks too: they come back with the same ones and would be taken for stale.
    for (const id of others) awareness.meta.delete(id)
    if (this.#hasEnded) return
    // The server told the others that we left, with the clock after our last: be past that one.
    const own = awareness.getLocalState()
    if (own !== null) awareness.setLocalState(own)
  }

  /** Sends what this client shows; tells whether it has ever shown anything. */
  #sendPresence(): boolean {
    const { address, doc, awareness, send } = this.#options
    if (!this.#isGreeted || !awareness.meta.has(doc.clientID)) return false
    send(writeAwareness(address, encodeAwarenessUpdate(awareness, [doc.clientID])))
    return true
  }
}
