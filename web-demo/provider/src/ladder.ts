/** How often in a row WebSockets may fail to open before the fallback is tried, once they have worked. */
const PATIENCE = 3
/** Where they have worked, the first wait before they are tried again is so much shorter. */
const HASTE = 10

/**
 * Decides what a connection is tried with: WebSockets, and the fallback where they do not get through.
 *
 * Where neither does, the server is most likely down: then the two take turns, and whatever gets
 * through first is used.
 */
export class Ladder {
  readonly #climbBaseMs: number
  readonly #climbCapMs: number
  #haveWorked = false
  #failures = 0
  #climbs = 0

  /**
   * @param climbBaseMs first wait before WebSockets are tried again beside the fallback, milliseconds
   * @param climbCapMs bound of that wait, milliseconds
   */
  constructor(climbBaseMs: number, climbCapMs: number) {
    this.#climbBaseMs = climbBaseMs
    this.#climbCapMs = climbCapMs
  }

  /** Whether the next attempt goes by the fallback. */
  get fallsBack(): boolean {
    return this.#failures >= (this.#haveWorked ? PATIENCE : 1)
  }

  /** How long to wait before a WebSocket is tried beside the fallback, milliseconds. */
  get climbMs(): number {
    const firstMs = this.#haveWorked ? this.#climbBaseMs / HASTE : this.#climbBaseMs
    return Math.min(this.#climbCapMs, firstMs * 2 ** Math.min(this.#climbs, 30))
  }

  /** Notes that frames came over a WebSocket. */
  worked(): void {
    this.#haveWorked = true
    this.#failures = this.#climbs = 0
  }

  /** Notes that a WebSocket ended before anything came. */
  failed(): void {
    this.#failures += 1
  }

  /** Notes that a WebSocket that was tried beside the fallback did not open. */
  slipped(): void {
    this.#climbs += 1
  }

  /** Notes that the fallback did not get through either: WebSockets have the next turn. */
  fellThrough(): void {
    this.#failures = this.#haveWorked ? PATIENCE - 1 : 0
  }

  /** Notes that the network may be another one: nothing is known of it. */
  forget(): void {
    this.#failures = this.#climbs = 0
  }
}
