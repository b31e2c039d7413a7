import * as Y from 'yjs'

import type { Connection } from '../connection.js'
import type { CollabDocument } from '../document.js'

/** Prepares a document before the server is asked for it; resolves when that is done. */
export type Prepare = (name: string, doc: Y.Doc) => Promise<unknown>

/**
 * How long a document stays open that no component uses, milliseconds.
 *
 * React draws before it mounts, and in strict mode it unmounts what it will mount again.
 */
const GRACE_MS = 1_000

interface Lease {
  document: CollabDocument
  users: number
  ending: ReturnType<typeof setTimeout> | undefined
}

/** The documents that components have open: one of a name, however many use it. */
export class Leases {
  readonly #connection: Connection
  readonly #prepare: Prepare | undefined
  readonly #leases = new Map<string, Lease>()

  constructor(connection: Connection, prepare?: Prepare) {
    this.#connection = connection
    this.#prepare = prepare
  }

  /** The document, which stays open for a moment only unless it is held. */
  look(name: string): CollabDocument {
    const lease = this.#leases.get(name)
    if (lease) return lease.document
    const doc = new Y.Doc()
    const loaded = this.#prepare?.(name, doc)
    const document = this.#connection.open(name, loaded ? { doc, loaded } : { doc })
    const made: Lease = { document, users: 0, ending: undefined }
    this.#leases.set(name, made)
    this.#release(name, made)
    return document
  }

  /** Keeps a document open until what is returned is called. */
  hold(name: string): () => void {
    this.look(name)
    const lease = this.#leases.get(name)!
    lease.users += 1
    clearTimeout(lease.ending)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      lease.users -= 1
      if (lease.users === 0) this.#release(name, lease)
    }
  }

  /** Closes everything at once. */
  end(): void {
    for (const [name, lease] of [...this.#leases]) this.#close(name, lease)
  }

  #release(name: string, lease: Lease): void {
    lease.ending = setTimeout(() => this.#close(name, lease), GRACE_MS)
  }

  #close(name: string, lease: Lease): void {
    clearTimeout(lease.ending)
    this.#leases.delete(name)
    lease.document.close()
    lease.document.doc.destroy()
  }
}
