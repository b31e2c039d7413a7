/** Runs something again and again, after a wait that doubles each time until it starts anew. */
export class Reminder {
  readonly #leastMs: number
  readonly #mostMs: number
  readonly #run: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #times = 0

  /**
   * @param leastMs the first wait, milliseconds
   * @param mostMs bound of every wait, milliseconds
   */
  constructor(leastMs: number, mostMs: number, run: () => void) {
    this.#leastMs = leastMs
    this.#mostMs = mostMs
    this.#run = run
  }

  /** Runs it after the wait whose turn it is; while it waits already nothing changes. */
  set(): void {
    this.#timer ??= setTimeout(this.#fire, Math.min(this.#mostMs, this.#leastMs * 2 ** Math.min(this.#times, 30)))
  }

  /** Starts anew with the first wait; one that is the first is not made longer. */
  hasten(): void {
    if (this.#times === 0) return
    const isSet = this.#timer !== undefined
    this.cancel()
    if (isSet) this.set()
  }

  /** Forgets it, and how often it ran. */
  cancel(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#times = 0
  }

  readonly #fire = (): void => {
    this.#timer = undefined
    this.#times += 1
    this.#run()
  }
}
