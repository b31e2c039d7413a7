/** How many closes that leave doubt end the attempts. */
const MOST = 3
/** Closes so far apart have nothing to do with each other, milliseconds. */
const APART_MS = 60_000

/**
 * Counts closes that will most likely come again, such as those for an update that cannot be applied.
 *
 * Neither a new connection nor a receipt says that it will not: what is to blame may come later.
 */
export class Doubts {
  #count = 0
  #addedAtMs = -Infinity

  /** Notes one; tells whether that is enough of them. */
  add(nowMs: number): boolean {
    this.#count = nowMs - this.#addedAtMs < APART_MS ? this.#count + 1 : 1
    this.#addedAtMs = nowMs
    return this.#count >= MOST
  }

  clear(): void {
    this.#count = 0
  }
}
