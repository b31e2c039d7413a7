/** An event of an event stream. */
export interface StreamEvent {
  type: string
  data: string
  /** The last id that was said, by this event or one before it. */
  id: string
}

/**
 * Reads an event stream piece by piece.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventReader {
  readonly #decoder = new TextDecoder()
  #rest = ''
  #type = ''
  #lines: string[] = []
  #id = ''

  /** Takes in a piece; returns the events that end in it. */
  read(piece: Uint8Array): StreamEvent[] {
    const events: StreamEvent[] = []
    const lines = (this.#rest + this.#decoder.decode(piece, { stream: true })).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = this.#readLine(line.endsWith('\r') ? line.slice(0, -1) : line)
      if (event) events.push(event)
    }
    return events
  }

  #readLine(line: string): StreamEvent | null {
    if (line === '') return this.#finish()
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'data') this.#lines.push(value)
    else if (name === 'event') this.#type = value
    else if (name === 'id') this.#id = value
    return null // A comment, or a field that means nothing here.
  }

  #finish(): StreamEvent | null {
    const event = { type: this.#type || 'message', data: this.#lines.join('\n'), id: this.#id }
    const isEmpty = this.#lines.length === 0
    this.#type = ''
    this.#lines = []
    return isEmpty ? null : event
  }
}
