import { MessageRefused } from './errors.js'

/** What JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Where an application message came from. */
export interface Origin {
  /** Name of the document. */
  document: string
  /** Id of the user who sent it, in the server's word; null where nobody is named. */
  from: string | null
}

export type MessageListener = (payload: Json, origin: Origin) => void

export interface MessageOptions {
  /** Id of the user who alone is to hear it, in every connection; everybody hears it without. */
  to?: string
}

/** Who listens to which type of application message. */
export class Listeners {
  readonly #listeners = new Map<string, Set<MessageListener>>()

  /** Calls a listener for each message of a type from now on; returns what ends that. */
  on(type: string, listener: MessageListener): () => void {
    const listeners = this.#listeners.get(type) ?? new Set()
    this.#listeners.set(type, listeners.add(listener))
    return () => listeners.delete(listener)
  }

  /** Passes a message on to those who listen to its type. */
  tell(type: string, payload: Json, origin: Origin): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) listener(payload, origin)
  }
}

interface Waiting {
  characters: number
  resolve: (receivers: number) => void
  reject: (error: MessageRefused) => void
}

/**
 * Application messages in one document: `{type, payload}`, kept by nobody.
 *
 * See docs/reference/messages.md.
 */
export class Messages {
  readonly #document: string
  readonly #send: (text: string) => boolean
  readonly #listeners = new Listeners()
  readonly #everywhere: Listeners
  readonly #waiting = new Map<string, Waiting>()
  #count = 0

  /**
   * @param send sends text to the room; tells whether it could
   * @param everywhere those who listen in every document of the connection
   */
  constructor(document: string, send: (text: string) => boolean, everywhere: Listeners) {
    this.#document = document
    this.#send = send
    this.#everywhere = everywhere
  }

  /** Calls a listener for each message of a type from now on; returns what ends that. */
  on(type: string, listener: MessageListener): () => void {
    return this.#listeners.on(type, listener)
  }

  /** Sends a message to everyone else here; tells whether there is a connection to send it on. */
  send(type: string, payload: Json, { to }: MessageOptions = {}): boolean {
    return this.#send(JSON.stringify({ type, payload, to }))
  }

  /**
   * Sends a message and waits until the server has passed it on.
   *
   * @returns how many connections and programs it was passed on to
   * @throws MessageRefused where it was not, or where the connection ended before that was known
   */
  deliver(type: string, payload: Json, { to }: MessageOptions = {}): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#count += 1
      const id = String(this.#count)
      const text = JSON.stringify({ type, payload, to, id })
      this.#waiting.set(id, { characters: text.length, resolve, reject })
      if (this.#send(text)) return
      this.#waiting.delete(id)
      reject(new MessageRefused('expected an open document, got none'))
    })
  }

  /** Takes in what was said in the room. */
  receive(text: string): void {
    const said = readObject(text)
    if (!said) return
    if (said['type'] === 'ack' || (said['type'] === 'refused' && !('payload' in said))) {
      this.#settle(said)
    } else if (typeof said['type'] === 'string' && said['payload'] !== undefined) {
      const from = typeof said['from'] === 'string' ? said['from'] : null
      const origin = { document: this.#document, from }
      this.#listeners.tell(said['type'], said['payload'], origin)
      this.#everywhere.tell(said['type'], said['payload'], origin)
    }
  }

  /** Gives up waiting: the connection has ended. */
  interrupt(): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) {
      reject(new MessageRefused('expected an acknowledgement, got the end of the connection'))
    }
  }

  #settle(said: { [key: string]: Json }): void {
    const id = typeof said['id'] === 'string' ? said['id'] : this.#longest()
    const waiting = id === null ? undefined : this.#waiting.get(id)
    if (id === null || !waiting) return
    this.#waiting.delete(id)
    if (said['type'] === 'ack') waiting.resolve(Number(said['receivers']))
    else waiting.reject(new MessageRefused(String(said['reason'])))
  }

  /** A refusal without an id is for a message that was too long to be read. */
  #longest(): string | null {
    const [longest] = [...this.#waiting].sort(([, a], [, b]) => b.characters - a.characters)
    return longest?.[0] ?? null
  }
}

function readObject(text: string): { [key: string]: Json } | null {
  try {
    const value = JSON.parse(text) as Json
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
  } catch {
    return null // An application's own text.
  }
}
