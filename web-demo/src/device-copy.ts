import { IndexeddbPersistence } from 'y-indexeddb'
import type * as Y from 'yjs'

import { onDevice } from './kept.js'

/** How long opening a document waits for its copy on this device, milliseconds. */
const PATIENCE_MS = 3_000

/** The copy of a document that this device keeps for times without a connection. */
export class DeviceCopy {
  /** Resolves when the copy is loaded, or when it is clear that there is none to be had. */
  readonly settled: Promise<void>
  readonly #persistence: IndexeddbPersistence | null
  #loaded = false

  /** @param isOthers whether it is left alone: nothing is read from it, and nothing kept in it */
  constructor(name: string, doc: Y.Doc, isOthers = false) {
    this.#persistence =
      isOthers || typeof indexedDB === 'undefined' ? null : new IndexeddbPersistence(copyName(name), doc)
    if (this.#persistence) this.#guard(this.#persistence)
    this.settled = this.#persistence ? this.#settle(this.#persistence) : Promise.resolve()
  }

  /** Whether what is written is kept on this device. */
  get keeps(): boolean {
    return this.#loaded
  }

  async destroy(): Promise<void> {
    // Where the browser keeps nothing, there is nothing to close either.
    await this.#persistence?.destroy().catch(() => undefined)
  }

  /** Stops saying that the device keeps what is written where it cannot: it is full, or another tab has deleted the database. */
  #guard(persistence: IndexeddbPersistence): void {
    const { doc } = persistence
    const store = persistence._storeUpdate
    doc.off('update', store)
    // What fails in a listener of updates has Yjs call none after it, nor any for later changes.
    persistence._storeUpdate = (update: Uint8Array, origin: unknown) => {
      try {
        store(update, origin)
      } catch (error) {
        console.info('collab: no copy is kept on this device any more:', error)
        doc.off('update', persistence._storeUpdate)
        this.#loaded = false
      }
    }
    doc.on('update', persistence._storeUpdate)
    // Where a device is full only this says so; what comes later builds on what is not there.
    const onabort = (): void => void (this.#loaded = false)
    persistence._db.then((database) => database.addEventListener('abort', onabort), () => undefined)
  }

  #settle(persistence: IndexeddbPersistence): Promise<void> {
    return new Promise((resolve) => {
      persistence.once('synced', () => {
        this.#loaded = true
        resolve()
      })
      // Private windows of some browsers refuse the database.
      persistence._db.catch(() => resolve())
      setTimeout(resolve, PATIENCE_MS)
    })
  }
}

/** What the database of a document's copy is called; with no name, what those of this server begin with. */
export function copyName(name: string): string {
  // Documents of servers mounted at different paths of one host must not mix.
  return `collab:${new URL('./', document.baseURI).pathname}:${name}`
}

export const RECENT_KEY = 'collab.documents'
const RECENT_MOST = 50

/** Names of the documents opened on this device, the latest first. */
export function recentDocuments(): string[] {
  const stored: unknown = JSON.parse(onDevice.get(RECENT_KEY) ?? '[]')
  return Array.isArray(stored) ? stored.filter((name) => typeof name === 'string') : []
}

/** Notes that a document was opened on this device. */
export function noteRecent(name: string): void {
  const names = [name, ...recentDocuments().filter((other) => other !== name)]
  onDevice.set(RECENT_KEY, JSON.stringify(names.slice(0, RECENT_MOST)))
}
