/** What was sent at one time, in one message or in parts, and waits for receipts. */
interface Sent {
  /** How many changes of this page it holds. */
  changes: number
  /** Whether it holds anything the server is not known to have. */
  isNews: boolean
  /** How many of its messages have no receipt yet. */
  awaited: number
  isRefused: boolean
  /** Whether it is all that the server lacked. */
  isAnswer: boolean
}

/**
 * What of a document the server has not yet acknowledged as durable.
 *
 * The server answers each step 2 and each update with one receipt: once it and all before it are on
 * disk, or at once where it is refused. A refusal may overtake receipts, which is why any refusal
 * leaves the document unsaved until everything was sent anew.
 */
export class Ledger {
  #sent: Sent[] = []
  #unsent = 0
  #refused = 0
  #hasRefusal = false
  /** Whether the document holds something of which nobody knows whether the server has it. */
  #isUnconfirmed = true

  /** Changes made here that wait to be stored. */
  get pending(): number {
    return this.#unsent + this.#refused + sum(this.#sent)
  }

  /** Whether everything in the document is durable. */
  get isClear(): boolean {
    return !this.#isUnconfirmed && !this.#sent.some(({ isNews }) => isNews)
  }

  /** Whether the server has refused something on this connection, and has not taken it since. */
  get hasRefusal(): boolean {
    return this.#hasRefusal
  }

  /** Notes a change that is not sent now; `local` where it was made by this page. */
  keep(local: boolean): void {
    if (local) this.#unsent += 1
    this.#isUnconfirmed = true
  }

  /** Notes a change that was sent, in so many messages. */
  send(local: boolean, messages = 1): void {
    this.#sent.push({ changes: local ? 1 : 0, isNews: true, awaited: messages, isRefused: false, isAnswer: false })
  }

  /**
   * Notes that all the server lacks was sent, as a step 2.
   *
   * @param hasContent whether that held anything but the list of deletions, which Yjs always sends
   * @param messages how many messages it took
   */
  answer(hasContent: boolean, messages = 1): void {
    const isNews = hasContent || !this.isClear
    const changes = this.#unsent + this.#refused
    this.#sent.push({ changes, isNews, awaited: messages, isRefused: false, isAnswer: true })
    this.#unsent = this.#refused = 0
    this.#isUnconfirmed = false
  }

  /** Takes a receipt for the oldest message that has none. */
  receive(accepted: boolean): void {
    const sent = this.#sent[0]
    if (!sent) return
    if (!accepted) sent.isRefused = this.#hasRefusal = this.#isUnconfirmed = true
    sent.awaited -= 1
    if (sent.awaited > 0) return
    this.#sent.shift()
    if (sent.isRefused) this.#refused += sent.changes
    else if (sent.isAnswer) this.#hasRefusal = false
  }

  /** Notes that the connection ended: nobody knows what became of what was sent. */
  interrupt(): void {
    if (!this.isClear) this.#isUnconfirmed = true
    this.#hasRefusal = false
    this.#unsent += sum(this.#sent)
    this.#sent = []
  }
}

function sum(sent: readonly Sent[]): number {
  return sent.reduce((total, { changes }) => total + changes, 0)
}
