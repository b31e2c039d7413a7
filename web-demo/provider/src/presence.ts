import type { Awareness } from 'y-protocols/awareness'

import { Emitter } from './emitter.js'

/** What somebody shows of themselves: whatever the application puts there. */
export type PresenceState = Record<string, unknown>

/** Somebody else who has the document open. */
export interface Peer {
  /** Their Yjs client id, another one for each tab. */
  readonly client: number
  readonly state: PresenceState
}

interface PresenceEvents {
  /** Somebody came, left, or shows something else. */
  change: (presence: Presence) => void
}

/** Who has a document open, and what they show: never stored, gone when they are. */
export class Presence extends Emitter<{ [Name in keyof PresenceEvents]: PresenceEvents[Name] }> {
  readonly awareness: Awareness
  #others: readonly Peer[] = []
  #own: PresenceState | null

  constructor(awareness: Awareness) {
    super()
    this.awareness = awareness
    this.#own = awareness.getLocalState()
    awareness.on('change', this.#onChange)
    this.#read()
  }

  /** Everyone else, by client id: the same array until it changes. */
  get others(): readonly Peer[] {
    return this.#others
  }

  /** What this client shows; null where it is not to be seen. */
  get own(): PresenceState | null {
    return this.#own
  }

  /** Shows this instead of all that was shown; null leaves without a trace. */
  set(state: PresenceState | null): void {
    this.awareness.setLocalState(state)
  }

  /** Shows these fields beside the others. */
  patch(fields: PresenceState): void {
    this.set({ ...this.awareness.getLocalState(), ...fields })
  }

  override destroy(): void {
    this.awareness.off('change', this.#onChange)
    super.destroy()
  }

  readonly #onChange = (): void => {
    this.#read()
    this.emit('change', [this])
  }

  #read(): void {
    const own = this.awareness.clientID
    this.#own = this.awareness.getLocalState()
    this.#others = [...this.awareness.getStates()]
      .filter(([client]) => client !== own)
      .map(([client, state]) => ({ client, state }))
      .sort((a, b) => a.client - b.client)
  }
}
