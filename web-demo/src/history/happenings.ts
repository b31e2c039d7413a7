import { EventReader, type StreamEvent } from 'collab-provider'

import { RequestFailed, ask } from '../request.js'

/** How long it waits before it asks again after a stream has ended, milliseconds. */
const RETURN_MS = 3_000

/** Hears what happens in a document, as long as it is followed. An `EventSource` could bring no token. */
export class Happenings {
  readonly #path: string
  readonly #onevent: (event: StreamEvent) => void
  readonly #controls = new AbortController()
  #lastId = ''

  /** @param path of the document's events, below `api/docs` */
  constructor(path: string, onevent: (event: StreamEvent) => void) {
    this.#path = path
    this.#onevent = onevent
    void this.#follow()
  }

  close(): void {
    this.#controls.abort()
  }

  /** Reads one stream after the other. */
  async #follow(): Promise<void> {
    const { signal } = this.#controls
    while (!signal.aborted) {
      try {
        await this.#read(signal)
      } catch (error) {
        // A stream that breaks off is a TypeError, and one that was given up an AbortError.
        const isCut = error instanceof TypeError || error instanceof DOMException
        if (!isCut && !(error instanceof RequestFailed)) throw error
        // What is refused stays refused until the document is opened anew; a sign-in is waited for.
        if (error instanceof RequestFailed && [403, 404, 410].includes(error.status)) return
      }
      await new Promise((resolve) => setTimeout(resolve, RETURN_MS))
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (this.#lastId !== '') headers['last-event-id'] = this.#lastId
    const { body } = await ask(this.#path, { headers, signal })
    if (body === null) return
    const events = new EventReader()
    const pieces = body.getReader()
    for (;;) {
      const { done, value } = await pieces.read()
      if (done) return
      for (const event of events.read(value)) {
        if (signal.aborted) return
        this.#lastId = event.id
        this.#onevent(event)
      }
    }
  }
}
