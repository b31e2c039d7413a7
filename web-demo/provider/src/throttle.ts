/** Runs something at once where it has rested, and otherwise at the end of its rest. */
export class Throttle {
  readonly #restMs: number
  readonly #run: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #isWanted = false

  constructor(restMs: number, run: () => void) {
    this.#restMs = restMs
    this.#run = run
  }

  /** Runs it now or soon; several wishes within a rest are one. */
  ask(): void {
    this.#isWanted = true
    if (this.#timer === undefined) this.#fire()
  }

  /** Forgets a wish that waits. */
  cancel(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isWanted = false
  }

  readonly #fire = (): void => {
    this.#timer = undefined
    if (!this.#isWanted) return
    this.#isWanted = false
    this.#timer = setTimeout(this.#fire, this.#restMs)
    this.#run()
  }
}
