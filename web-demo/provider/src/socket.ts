import { CloseCode } from './close-codes.js'
import { Silence } from './silence.js'
import type { Timings } from './timings.js'
import type { Transport, TransportEvents } from './transport.js'

/** What is needed of a WebSocket class: the browser's, or that of `ws`. */
export type WebSocketClass = new (url: string) => WebSocket

const OPEN = 1

/** Frames over a WebSocket. */
export class SocketTransport implements Transport {
  readonly kind = 'websocket'
  readonly #socket: WebSocket | null = null
  readonly #events: TransportEvents
  readonly #opening: ReturnType<typeof setTimeout>
  readonly #silence = new Silence()
  #hasEnded = false

  constructor(
    url: string,
    WebSocket: WebSocketClass,
    { openMs }: Timings,
    events: TransportEvents,
  ) {
    this.#events = events
    let socket: WebSocket
    try {
      socket = this.#socket = new WebSocket(url)
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'SecurityError')) throw error
      // By its policy for this page the browser forbids it: what does not open can be told only later.
      this.#opening = setTimeout(() => this.#fail(error.message))
      return
    }
    socket.binaryType = 'arraybuffer'
    this.#opening = setTimeout(() => this.#fail('it did not open'), openMs)
    socket.onopen = () => {
      clearTimeout(this.#opening)
      this.#silence.end()
      events.onopen()
    }
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      this.#silence.end()
      if (typeof event.data !== 'string') events.onframe(new Uint8Array(event.data))
    }
    socket.onclose = ({ code, reason }) => {
      this.#letGo()
      events.onclose(code, reason)
    }
    socket.onerror = () => undefined // What ends it is told by `onclose`.
  }

  send(frame: Uint8Array): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(frame as Uint8Array<ArrayBuffer>)
  }

  check(silenceMs: number): void {
    if (this.#silence.ms >= silenceMs) this.#fail('the server is silent')
  }

  close(): void {
    if (this.#hasEnded) return
    this.#letGo()
    this.#socket?.close(1000)
  }

  #fail(reason: string): void {
    if (this.#hasEnded) return
    this.close()
    this.#events.onclose(CloseCode.ABNORMAL, reason)
  }

  /** Lets go of the socket, so that nothing it still does is heard. */
  #letGo(): void {
    this.#hasEnded = true
    clearTimeout(this.#opening)
    if (this.#socket) this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null
  }
}
