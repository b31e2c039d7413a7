import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'

/**
 * Longer changes are sent in parts of this size, bytes: servers and proxies bound what comes at once,
 * and what arrived before a cut need not be sent again.
 */
export const PART_BYTES = 256 * 1024

/** The most that the number of sections of structs and of deletions take up in a part, bytes. */
const FRAME_BYTES = 12
/** The most that client, clock and count of a section take up, bytes. */
const SECTION_BYTES = 24

type Struct = ReturnType<typeof Y.decodeUpdate>['structs'][number]

/**
 * Cuts an update (v1) into smaller ones, in an order in which none waits for a later one.
 *
 * Applied one after the other they give what the whole gives; deletions come last. A text or a list of
 * values that is larger than a part is cut inside, as Yjs cuts when it writes a difference. An update
 * that fits is given back unread.
 *
 * @param maxBytes size of a part; only a single value makes a larger one
 */
export function split(update: Uint8Array, maxBytes: number): Uint8Array[] {
  if (update.byteLength <= maxBytes) return [update]
  const { structs, ds } = Y.decodeUpdate(update)
  const parts = new Parts(maxBytes)
  for (const struct of inCausalOrder(structs)) {
    for (const [{ id }, bytes] of cut(struct, maxBytes - FRAME_BYTES - SECTION_BYTES)) {
      parts.addStruct(id.client, id.clock, bytes)
    }
  }
  for (const [client, ranges] of ds.clients) {
    for (const { clock, len } of ranges) parts.addDeletion(client, clock, len)
  }
  return parts.finish()
}

/**
 * What an update (v1) deletes of what a peer has, as updates that do nothing else.
 *
 * @param stateVector of the peer
 * @param maxBytes size of each
 */
export function splitDeletions(update: Uint8Array, stateVector: Uint8Array, maxBytes: number): Uint8Array[] {
  const known = Y.decodeStateVector(stateVector)
  const parts = new Parts(maxBytes)
  for (const [client, ranges] of Y.decodeUpdate(update).ds.clients) {
    const end = known.get(client) ?? 0
    for (const { clock, len } of ranges) {
      if (clock < end) parts.addDeletion(client, clock, Math.min(len, end - clock))
    }
  }
  return parts.finish()
}

/** One client's structs, and how far they were walked. */
interface Run {
  client: number
  structs: Struct[]
  next: number
  /** The clock that was reached. */
  reached: number
  /** The clock after the last struct. */
  end: number
}

/** Walks structs as Yjs' integrateStructs does: none before those it was written beside. */
function* inCausalOrder(structs: readonly Struct[]): Iterable<Struct> {
  const runs = runsOf(structs)
  const waiting = new Set<number>()
  for (const first of runs.values()) {
    const stack = [{ run: first, until: Infinity }]
    for (let top = stack[0]; top; top = stack.at(-1)) {
      const { run, until } = top
      const struct = run.structs[run.next]
      if (!struct || run.reached > until) {
        stack.pop()
        waiting.delete(run.client)
        continue
      }
      const missing = neighboursOf(struct).find(({ client, clock }) => {
        const other = runs.get(client)
        // Neighbours in a circle are nobody's real edits: those go out as they come.
        return other && other !== run && other.reached <= clock && clock < other.end && !waiting.has(client)
      })
      if (missing) {
        waiting.add(run.client)
        stack.push({ run: runs.get(missing.client)!, until: missing.clock })
        continue
      }
      run.next += 1
      run.reached = struct.id.clock + struct.length
      yield struct
    }
  }
}

function runsOf(structs: readonly Struct[]): Map<number, Run> {
  const runs = new Map<number, Run>()
  for (const struct of structs) {
    const { client, clock } = struct.id
    const run = runs.get(client) ?? { client, structs: [], next: 0, reached: clock, end: clock }
    run.structs.push(struct)
    run.end = clock + struct.length
    runs.set(client, run)
  }
  return runs
}

/** What a struct was written beside or into. */
function neighboursOf(struct: Struct): Y.ID[] {
  if (!(struct instanceof Y.Item)) return []
  return [struct.origin, struct.rightOrigin, struct.parent].filter((place) => place instanceof Y.ID)
}

/** Cuts a struct in halves until each fits; what cannot be cut stays whole. */
function* cut(struct: Struct, maxBytes: number): Iterable<[piece: Struct, bytes: Uint8Array]> {
  const encoder = new Y.UpdateEncoderV1()
  struct.write(encoder, 0)
  const bytes = encoder.toUint8Array()
  const at = bytes.byteLength > maxBytes && struct instanceof Y.Item ? middleOf(struct.content) : null
  if (at === null) return yield [struct, bytes]
  for (const half of halve(struct as Y.Item, at)) yield* cut(half, maxBytes)
}

/** Where content is cut; null where it is a single value. */
function middleOf(content: Y.Item['content']): number | null {
  const at = Math.floor(content.getLength() / 2)
  if (at === 0) return null
  if (content instanceof Y.ContentString) {
    // Halves of a surrogate pair would be written as two replacement characters.
    const isWithin = /[\ud800-\udbff]/.test(content.str[at - 1]!)
    return isWithin ? (at > 1 ? at - 1 : null) : at
  }
  return content instanceof Y.ContentAny || content instanceof Y.ContentJSON ? at : null
}

function halve(item: Y.Item, at: number): [left: Y.Item, right: Y.Item] {
  const { id, origin, rightOrigin, parent, parentSub, content } = item
  const { client, clock } = id
  const after = content.splice(at)
  return [
    new Y.Item(id, null, origin, null, rightOrigin, parent, parentSub, content),
    new Y.Item(
      Y.createID(client, clock + at),
      null,
      Y.createID(client, clock + at - 1),
      null,
      rightOrigin,
      null,
      null,
      after,
    ),
  ]
}

/** Parts of an update, filled one after the other. */
class Parts {
  readonly #maxBytes: number
  readonly #full: Uint8Array[] = []
  #bytes = FRAME_BYTES
  #structs = new Map<number, StructSection>()
  #deletions = new Map<number, Section>()

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Adds a struct that follows those of the same client. */
  addStruct(client: number, clock: number, bytes: Uint8Array): void {
    this.#makeRoom(bytes.byteLength, this.#structs.has(client))
    const section = this.#structs.get(client) ?? { ...newSection(), clock }
    this.#structs.set(client, section)
    encoding.writeUint8Array(section.encoder, bytes)
    section.count += 1
  }

  addDeletion(client: number, clock: number, length: number): void {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, clock)
    encoding.writeVarUint(encoder, length)
    this.#makeRoom(encoding.length(encoder), this.#deletions.has(client))
    const section = this.#deletions.get(client) ?? newSection()
    this.#deletions.set(client, section)
    encoding.writeBinaryEncoder(section.encoder, encoder)
    section.count += 1
  }

  /** The parts: no longer added to. */
  finish(): Uint8Array[] {
    this.#close()
    return this.#full
  }

  #makeRoom(bytes: number, hasSection: boolean): void {
    const isEmpty = this.#structs.size + this.#deletions.size === 0
    if (!isEmpty && this.#bytes + bytes + (hasSection ? 0 : SECTION_BYTES) > this.#maxBytes) {
      this.#close()
      hasSection = false
    }
    this.#bytes += bytes + (hasSection ? 0 : SECTION_BYTES)
  }

  #close(): void {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, this.#structs.size)
    for (const [client, { count, clock, encoder: structs }] of highestFirst(this.#structs)) {
      encoding.writeVarUint(encoder, count)
      encoding.writeVarUint(encoder, client)
      encoding.writeVarUint(encoder, clock)
      encoding.writeBinaryEncoder(encoder, structs)
    }
    encoding.writeVarUint(encoder, this.#deletions.size)
    for (const [client, { count, encoder: ranges }] of highestFirst(this.#deletions)) {
      encoding.writeVarUint(encoder, client)
      encoding.writeVarUint(encoder, count)
      encoding.writeBinaryEncoder(encoder, ranges)
    }
    this.#full.push(encoding.toUint8Array(encoder))
    this.#structs = new Map()
    this.#deletions = new Map()
    this.#bytes = FRAME_BYTES
  }
}

/** One client's structs, or deletions. */
interface Section {
  count: number
  encoder: encoding.Encoder
}

interface StructSection extends Section {
  /** Of its first struct. */
  clock: number
}

const newSection = (): Section => ({ count: 0, encoder: encoding.createEncoder() })

/** Sections in the order in which Yjs writes them, and relies on where it merges updates. */
const highestFirst = <Kind extends Section>(sections: Map<number, Kind>): [number, Kind][] =>
  [...sections].sort(([a], [b]) => b - a)
