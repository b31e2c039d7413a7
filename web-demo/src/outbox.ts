import type { CollabDocument, Connection } from 'collab-provider'
import * as Y from 'yjs'

import { noteSent, unsentBy } from './device-copies.js'
import { DeviceCopy } from './device-copy.js'

/** How long one document may take to be stored before the next one has its turn, milliseconds. */
const PATIENCE_MS = 30_000

/** Has stored what was written without a connection in documents that are no longer on the page. */
export class Outbox {
  readonly #connection: Connection
  readonly #onsent: () => void
  /** What the server did not take from who is here: it is asked again when the document is opened. */
  readonly #declined = new Set<string>()
  #sending: { name: string; isOver: Promise<void>; end: () => void } | null = null
  #turn = 0
  #isBusy = false

  /** @param onsent called when a document is stored */
  constructor(connection: Connection, onsent: () => void) {
    this.#connection = connection
    this.#onsent = onsent
  }

  /**
   * Has stored what waits on this device, one document after the other.
   *
   * @param writer the id of who is signed in: what somebody else wrote is left alone
   */
  async send(writer: string | null): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    const turn = this.#turn
    try {
      for (const name of unsentBy(writer)) {
        if (turn !== this.#turn) return
        if (!this.#declined.has(name) && !this.#connection.documents.has(name)) await this.#sendOne(name)
      }
    } finally {
      this.#isBusy = false
    }
  }

  /** Leaves a document to the page. */
  release(name: string): void {
    this.#declined.delete(name)
    if (this.#sending?.name === name) this.#sending.end()
  }

  /**
   * Sends nothing more, as somebody else may be here next.
   *
   * @returns when no copy is open
   */
  async stop(): Promise<void> {
    this.#turn += 1
    this.#declined.clear()
    this.#sending?.end()
    await this.#sending?.isOver
  }

  async #sendOne(name: string): Promise<void> {
    let over: () => void = () => undefined
    const isOver = new Promise<void>((resolve) => (over = resolve))
    const doc = new Y.Doc()
    const copy = new DeviceCopy(name, doc)
    const document = this.#connection.open(name, { doc, loaded: copy.settled })
    // Nobody is here.
    document.presence.set(null)
    try {
      const isStored = await new Promise<boolean | null>((resolve) => {
        const timer = setTimeout(() => resolve(null), PATIENCE_MS)
        const end = (outcome: boolean | null): void => {
          clearTimeout(timer)
          resolve(outcome)
        }
        const leave = (): void => {
          document.close() // At once: the page may open it next.
          end(null)
        }
        this.#sending = { name, isOver, end: leave }
        document.on('progress', () => {
          const outcome = outcomeOf(document, copy)
          if (outcome !== null) end(outcome)
        })
      })
      if (isStored) noteSent(name)
      else if (isStored === false) this.#declined.add(name)
      if (isStored) this.#onsent()
    } finally {
      document.close()
      this.#sending = null
      await copy.destroy()
      doc.destroy()
      over()
    }
  }
}

/** Whether a document is stored; false where it will not be, null while nobody knows. */
function outcomeOf({ saved, refusal, full, access }: CollabDocument, copy: DeviceCopy): boolean | null {
  if (refusal || full || access === 'readonly') return false
  // Where nothing was read from this device, nothing of it is stored.
  return saved ? copy.keeps : null
}
