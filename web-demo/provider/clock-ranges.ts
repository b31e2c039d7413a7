import * as Y from 'yjs'

/** `[from, to)` on one client's clock. */
interface Range {
  from: number
  to: number
}

/**
 * Ranges of clocks, client by client: which parts of a document an update speaks of.
 *
 * Held sorted and disjoint, so that subtracting costs one pass.
 */
export class ClockRanges {
  readonly #ranges = new Map<number, Range[]>()

  constructor(ranges: Iterable<readonly [client: number, clock: number, length: number]>) {
    for (const [client, clock, length] of ranges) {
      if (length === 0) continue
      const known = this.#ranges.get(client)
      const range = { from: clock, to: clock + length }
      if (known) known.push(range)
      else this.#ranges.set(client, [range])
    }
    for (const [client, known] of this.#ranges) this.#ranges.set(client, merged(known))
  }

  get isEmpty(): boolean {
    return this.#ranges.size === 0
  }

  /** Removes what `others` covers too. */
  subtract(others: ClockRanges): void {
    for (const [client, ours] of this.#ranges) {
      const theirs = others.#ranges.get(client)
      if (!theirs) continue
      const left = difference(ours, theirs)
      if (left.length === 0) this.#ranges.delete(client)
      else this.#ranges.set(client, left)
    }
  }
}

function merged(ranges: Range[]): Range[] {
  ranges.sort((a, b) => a.from - b.from)
  const result: Range[] = []
  for (const range of ranges) {
    const last = result.at(-1)
    if (last && range.from <= last.to) last.to = Math.max(last.to, range.to)
    else result.push({ ...range })
  }
  return result
}

function difference(ours: Range[], theirs: Range[]): Range[] {
  const result: Range[] = []
  let index = 0
  for (const { from, to } of ours) {
    let start = from
    while (index < theirs.length && theirs[index]!.to <= start) index += 1
    for (let at = index; at < theirs.length && theirs[at]!.from < to; at += 1) {
      const cut = theirs[at]!
      if (cut.from > start) result.push({ from: start, to: cut.from })
      start = Math.max(start, cut.to)
    }
    if (start < to) result.push({ from: start, to })
  }
  return result
}

/** What one update inserts and deletes. */
export class Extent {
  readonly #inserted: ClockRanges
  readonly #deleted: ClockRanges

  private constructor(inserted: ClockRanges, deleted: ClockRanges) {
    this.#inserted = inserted
    this.#deleted = deleted
  }

  /** Reads the extent of an update in the first encoding. */
  static of(update: Uint8Array): Extent {
    const { structs, ds } = Y.decodeUpdate(update)
    return new Extent(
      new ClockRanges(
        structs
          // A Skip marks a gap between merged updates: it says nothing of what lies there.
          .filter((struct) => !(struct instanceof Y.Skip))
          .map((struct) => [struct.id.client, struct.id.clock, struct.length] as const),
      ),
      new ClockRanges(
        Array.from(ds.clients, ([client, items]) =>
          items.map((item) => [client, item.clock, item.len] as const),
        ).flat(),
      ),
    )
  }

  get isEmpty(): boolean {
    return this.#inserted.isEmpty && this.#deleted.isEmpty
  }

  get insertsNothing(): boolean {
    return this.#inserted.isEmpty
  }

  subtract(other: Extent): void {
    this.#inserted.subtract(other.#inserted)
    this.#deleted.subtract(other.#deleted)
  }
}
