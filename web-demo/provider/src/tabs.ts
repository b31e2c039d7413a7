import {
  type Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates,
} from 'y-protocols/awareness'
import * as Y from 'yjs'

import { report } from './emitter.js'
import type { ConnectionOptions } from './options.js'
import { Throttle } from './throttle.js'
import type { Timings } from './timings.js'

/** What one tab says to the others. */
interface Word {
  /** The client id of the tab that says it. */
  from: number
  /** The one tab it is for; without it all others. */
  to?: number
  /** What the tab has: whoever reads this sends what it lacks. */
  stateVector?: Uint8Array
  update?: Uint8Array
  awareness?: Uint8Array
}

interface TabsOptions {
  doc: Y.Doc
  awareness: Awareness
  /** Nothing is said before this: a copy on the device may be loading. */
  loaded: Promise<unknown> | null
  timings: Timings
  /** What the channel of those who may go on together is called; null where nobody may. */
  getChannel: () => string | null
}

/**
 * One document in several tabs of a browser, which go on together while the server is out of reach.
 *
 * Where it is in reach nothing is said here: everything comes from the server. A tab passes on what did not come from
 * another one, and who reads it passes nothing on, as a channel reaches all.
 */
export class Tabs {
  readonly #options: TabsOptions
  readonly #presence: Throttle
  #isApart = false
  #joining: ReturnType<typeof setTimeout> | undefined
  #channel: BroadcastChannel | null = null
  /** The client ids of those who have said something. */
  readonly #heard = new Set<number>()

  constructor(options: TabsOptions) {
    this.#options = options
    this.#presence = new Throttle(options.timings.presenceMs, () => this.#say(this.#shown()))
  }

  /**
   * Joins the other tabs, or leaves them.
   *
   * @param isApart whether the server is out of reach, and this tab may write
   */
  follow(isApart: boolean): void {
    if (isApart === this.#isApart) return
    this.#isApart = isApart
    clearTimeout(this.#joining)
    if (!isApart) return this.#leave()
    // A page that is loaded, or a server that is started anew, is connected before that.
    this.#joining = setTimeout(() => void this.#join(), this.#options.timings.apartMs)
  }

  /** Says what is here, and asks for what the others have. */
  ask(): void {
    const stateVector = Y.encodeStateVector(this.#options.doc)
    this.#say({ stateVector, ...this.#shown() })
  }

  async #join(): Promise<void> {
    const { doc, awareness, loaded } = this.#options
    // A copy that cannot be read is none.
    await loaded?.catch(() => undefined)
    if (!this.#isApart || this.#channel) return
    const name = this.#findName()
    if (name === null) return
    try {
      this.#channel = new BroadcastChannel(name)
    } catch {
      return // A browser that keeps nothing for the page may refuse it this as well.
    }
    this.#channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data)
    doc.on('update', this.#onUpdate)
    awareness.on('update', this.#onAwareness)
    if (typeof window !== 'undefined') {
      window.addEventListener('pagehide', this.#onLeave)
      window.addEventListener('pageshow', this.#onReturn)
    }
    this.ask()
  }

  #leave(): void {
    const { doc, awareness } = this.#options
    if (!this.#channel) return
    this.#onLeave()
    this.#channel.close()
    this.#channel = null
    doc.off('update', this.#onUpdate)
    awareness.off('update', this.#onAwareness)
    if (typeof window !== 'undefined') {
      window.removeEventListener('pagehide', this.#onLeave)
      window.removeEventListener('pageshow', this.#onReturn)
    }
    this.#presence.cancel()
    const heard = [...this.#heard]
    this.#heard.clear()
    removeAwarenessStates(awareness, heard, this)
    // Forget their clocks too: the server shows them with the same ones, which would be taken for stale.
    for (const client of heard) awareness.meta.delete(client)
    // Where the server kept the session it shows nobody anew, and they have let go of this tab as well.
    const own = awareness.getLocalState()
    if (heard.length > 0 && own !== null) awareness.setLocalState(own)
  }

  /** What the channel is called of those who are here now; null where they go on alone. */
  #findName(): string | null {
    try {
      return this.#options.getChannel()
    } catch (error) {
      report(error) // The application does not say who is here.
      return null
    }
  }

  /** Whether the channel is that of who is here now: somebody else may have signed in, or they may have signed out. */
  #belongs(): boolean {
    if (!this.#channel) return false
    if (this.#channel.name === this.#findName()) return true
    this.#leave()
    void this.#join()
    return false
  }

  #say(word: Omit<Word, 'from'>): void {
    if (this.#belongs()) this.#post(word)
  }

  #post(word: Omit<Word, 'from'>): void {
    this.#channel?.postMessage({ from: this.#options.doc.clientID, ...word } satisfies Word)
  }

  #hear({ from, to, stateVector, update, awareness }: Word): void {
    const { doc } = this.#options
    if (!this.#belongs()) return
    if (to !== undefined && to !== doc.clientID) return
    this.#heard.add(from)
    try {
      if (awareness) applyAwarenessUpdate(this.#options.awareness, awareness, this)
      if (update) Y.applyUpdate(doc, update, this)
    } catch (error) {
      report(error) // An application's listener failed, or another release of the page says what this one does not know.
    }
    if (!stateVector) return
    const missing = { to: from, update: Y.encodeStateAsUpdate(doc, stateVector) }
    // An answer is answered with what it lacks, and that is all.
    if (to === undefined) this.#say({ ...missing, stateVector: Y.encodeStateVector(doc), ...this.#shown() })
    else this.#say(missing)
  }

  /** What this tab shows of itself; nothing where it has never shown anything. */
  #shown(): Pick<Word, 'awareness'> {
    const { doc, awareness } = this.#options
    return awareness.meta.has(doc.clientID) ? { awareness: encodeAwarenessUpdate(awareness, [doc.clientID]) } : {}
  }

  readonly #onUpdate = (update: Uint8Array, origin: unknown): void => {
    if (origin !== this) this.#say({ update })
  }

  readonly #onAwareness = (changes: Record<'added' | 'updated' | 'removed', number[]>): void => {
    // Each tab speaks for itself alone.
    const { added, updated, removed } = changes
    if ([added, updated, removed].some((clients) => clients.includes(this.#options.doc.clientID))) this.#presence.ask()
  }

  /** The others see at once that this tab is gone. */
  readonly #onLeave = (): void => {
    const { doc, awareness } = this.#options
    if (!awareness.meta.has(doc.clientID)) return
    this.#post({ awareness: encodeAwarenessUpdate(awareness, [doc.clientID], new Map()) })
  }

  /** The browser shows the page again as it was left. */
  readonly #onReturn = ({ persisted }: PageTransitionEvent): void => {
    if (!persisted) return
    const { awareness } = this.#options
    // Be past the clock with which it left.
    awareness.setLocalState(awareness.getLocalState())
    this.ask()
  }
}

/**
 * What the channel is called on which the tabs that have a document open go on together; null where they do not.
 *
 * @param url where the server is mounted
 */
export function channelName(
  url: string,
  document: string,
  { getTabs, getToken }: Pick<ConnectionOptions, 'getTabs' | 'getToken'>,
): string | null {
  if (typeof BroadcastChannel === 'undefined') return null
  // Outside of browsers there are no tabs, unless an application says so.
  const isTab = typeof window !== 'undefined' && !getToken
  const who = getTabs ? getTabs() : isTab ? '' : null
  return who === null ? null : JSON.stringify(['collab', url, document, who])
}
