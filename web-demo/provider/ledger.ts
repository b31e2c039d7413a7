import * as Y from 'yjs'

import { Extent } from './clock-ranges.js'

/** An update that says nothing at all: no structs, no deletions. */
const EMPTY_UPDATE_BYTES = 2

/**
 * What of a document the server has not yet acknowledged as durable.
 *
 * The server sends every update back to its sender once it is on disk, alone or merged with other
 * people's. So each update that was sent stays here with its extent until incoming updates have
 * covered all of it. The server commits a document's updates in order: an acknowledged update
 * vouches for everything the server had received before it.
 *
 * One case the bytes cannot tell apart: when someone else deletes the same characters at the same
 * moment, their deletion, which may come before it is on disk, counts as ours coming back.
 */
export class Ledger {
  #sent: Extent[] = []
  #unsent = 0
  #unconfirmed: boolean

  /**
   * @param unconfirmed whether the document already holds content of which nobody knows
   *   whether the server has it
   */
  constructor(unconfirmed: boolean) {
    this.#unconfirmed = unconfirmed
  }

  /** Changes made here that wait to be sent or acknowledged. */
  get pending(): number {
    return this.#unsent + this.#sent.length
  }

  /** Whether everything in the document has been acknowledged. */
  get isClear(): boolean {
    return this.pending === 0 && !this.#unconfirmed
  }

  /** Notes an update that cannot be sent yet; `local` where it was made by this page. */
  keep(local: boolean): void {
    if (local) this.#unsent += 1
    else this.#unconfirmed = true
  }

  /** Notes an update that was sent. */
  send(update: Uint8Array): void {
    this.#sent.push(Extent.of(update))
  }

  /** Takes note of an update from the server; what it covers is durable. */
  acknowledge(update: Uint8Array): void {
    if (this.#sent.length === 0) return
    const acknowledged = Extent.of(update)
    for (const extent of this.#sent) extent.subtract(acknowledged)
    this.#sent = this.#sent.filter((extent) => !extent.isEmpty)
  }

  /** Notes that the connection ended: nobody knows what became of what was sent. */
  interrupt(): void {
    this.#unsent += this.#sent.length
    this.#sent = []
  }

  /**
   * The answer to the server's state vector, which replaces everything that was outstanding.
   *
   * Empty where the server lacks nothing; but never while something is outstanding, since the
   * server, which acknowledges no empty update, may have received it without having stored it.
   */
  answer(doc: Y.Doc, stateVector: Uint8Array): Uint8Array {
    const outstanding = !this.isClear
    let update = Y.encodeStateAsUpdate(doc, stateVector)
    if (outstanding && update.byteLength <= EMPTY_UPDATE_BYTES) update = lastStruct(doc)
    const extent = Extent.of(update)
    // An answer without structs is the document's list of deletions, which Yjs always sends whole:
    // with nothing outstanding it is no news to the server.
    const owed = !extent.isEmpty && (outstanding || !extent.insertsNothing)
    this.#sent = owed ? [extent] : []
    this.#unsent = 0
    this.#unconfirmed = false
    return update
  }
}

/** The shortest of all clients' last structs as an update; empty for an empty document. */
function lastStruct(doc: Y.Doc): Uint8Array {
  const stateVector = new Map<number, number>()
  let shortest = Infinity
  let chosen: { client: number; clock: number } | undefined
  for (const [client, structs] of doc.store.clients) {
    const last = structs.at(-1)
    if (!last) continue
    stateVector.set(client, last.id.clock + last.length)
    if (last.length < shortest) {
      shortest = last.length
      chosen = { client, clock: last.id.clock }
    }
  }
  if (chosen) stateVector.set(chosen.client, chosen.clock)
  return Y.encodeStateAsUpdate(doc, Y.encodeStateVector(stateVector))
}
