/** How long something was not heard, on a clock that may be set back: then it counts anew. */
export class Silence {
  #sinceMs = Date.now()

  /** It is heard now. */
  end(): void {
    this.#sinceMs = Date.now()
  }

  /** Milliseconds since it was heard; asked for every few seconds. */
  get ms(): number {
    const nowMs = Date.now()
    this.#sinceMs = Math.min(this.#sinceMs, nowMs)
    return nowMs - this.#sinceMs
  }
}
