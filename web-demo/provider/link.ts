import { backoffMs } from './backoff.js'

/** Where a link stands. */
export type Status = 'connecting' | 'connected' | 'reconnecting' | 'offline' | 'refused'

/** Why the server will not have this client. */
export interface Refusal {
  /** The WebSocket close code: 4401, 4403 or 4404. */
  code: number
  reason: string
}

/** What a link needs of a WebSocket class: the browser's, or that of `ws`. */
export type WebSocketClass = new (url: string) => WebSocket

export interface LinkOptions {
  WebSocket: WebSocketClass
  /** The address to open; `renew` asks for a new token. */
  address: (renew: boolean) => Promise<string>
  /** Whether another token can be had when the server refuses one. */
  renewable: boolean
  backoffBaseMs: number
  backoffCapMs: number
  tryAgainMs: number
  silenceMs: number
  onopen: () => void
  onframe: (frame: Uint8Array) => void
  onclose: () => void
  onstatus: (status: Status) => void
}

// The server's table of close codes: collab/close.py.
const RESTART = 1012
const TRY_AGAIN_LATER = 1013
const UNAUTHENTICATED = 4401
const FORBIDDEN = 4403
const NOT_FOUND = 4404
const RATE = 4429

/**
 * A WebSocket that comes back: one socket after another to the same address, until it is closed or
 * the server refuses.
 */
export class Link {
  readonly #options: LinkOptions
  #status: Status = 'offline'
  #refusal: Refusal | null = null
  #wanted = false
  #socket: WebSocket | null = null
  #attempt = 0
  /** Counts attempts for good, to know a late answer of an earlier one. */
  #serial = 0
  #everOpen = false
  #renewing = false
  #openedAtMs = 0
  #heardAtMs = 0
  #notBeforeMs = 0
  #retry: ReturnType<typeof setTimeout> | undefined
  #watch: ReturnType<typeof setInterval> | undefined

  constructor(options: LinkOptions) {
    this.#options = options
  }

  get status(): Status {
    return this.#status
  }

  get refusal(): Refusal | null {
    return this.#refusal
  }

  /** Connects, and stays connected from now on. */
  open(): void {
    if (this.#wanted) return
    this.#wanted = true
    this.#refusal = null
    this.#attempt = 0
    this.#renewing = false
    this.#watch = setInterval(this.#checkSilence, this.#options.silenceMs / 10)
    if (typeof window !== 'undefined') {
      window.addEventListener('online', this.#hurry)
      window.addEventListener('offline', this.#lose)
      document.addEventListener('visibilitychange', this.#wake)
    }
    this.#connect()
  }

  /** Closes the socket and stays away. */
  close(): void {
    this.#leave()
    const socket = this.#detach()
    socket?.close(1000)
    this.#setStatus('offline')
  }

  /** Sends a frame where a socket is open. */
  send(frame: Uint8Array): boolean {
    if (this.#status !== 'connected' || this.#socket?.readyState !== 1) return false
    this.#socket.send(frame as Uint8Array<ArrayBuffer>)
    return true
  }

  /** Notes that the server let this client in. */
  welcome(): void {
    this.#renewing = false
  }

  readonly #hurry = (): void => {
    if (!this.#wanted || this.#socket || Date.now() < this.#notBeforeMs) return
    this.#attempt = 0
    this.#connect()
  }

  readonly #wake = (): void => {
    if (document.visibilityState !== 'visible') return
    this.#checkSilence()
    this.#hurry()
  }

  readonly #lose = (): void => {
    // The browser would take minutes to notice. Where it errs (a server on this machine), the
    // next attempt mends it at once.
    const socket = this.#detach()
    socket?.close()
    this.#later(0)
  }

  readonly #checkSilence = (): void => {
    if (!this.#socket || Date.now() - this.#heardAtMs < this.#options.silenceMs) return
    const socket = this.#detach()
    socket?.close()
    this.#later(0)
  }

  #connect(): void {
    clearTimeout(this.#retry)
    this.#serial += 1
    const serial = this.#serial
    this.#setStatus(this.#absent())
    this.#options.address(this.#renewing).then(
      (address) => {
        if (serial === this.#serial && this.#wanted) this.#attach(address)
      },
      () => {
        if (serial === this.#serial && this.#wanted) this.#later(0)
      },
    )
  }

  #attach(address: string): void {
    const socket = new this.#options.WebSocket(address)
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    this.#heardAtMs = Date.now()
    this.#openedAtMs = Infinity
    socket.onopen = () => {
      this.#heardAtMs = this.#openedAtMs = Date.now()
      this.#everOpen = true
      this.#setStatus('connected')
      this.#options.onopen()
    }
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      this.#heardAtMs = Date.now()
      if (typeof event.data !== 'string') this.#options.onframe(new Uint8Array(event.data))
    }
    socket.onclose = (event) => {
      this.#detach()
      this.#judge(event.code, event.reason)
    }
  }

  /** Lets go of the socket, so that nothing it still does is heard. */
  #detach(): WebSocket | null {
    const socket = this.#socket
    if (!socket) return null
    socket.onopen = socket.onmessage = socket.onclose = null
    // `ws` throws an error that nobody listens for.
    socket.onerror = () => undefined
    this.#socket = null
    if (Date.now() - this.#openedAtMs >= this.#options.backoffCapMs) this.#attempt = 0
    if (this.#status === 'connected') this.#options.onclose()
    return socket
  }

  #judge(code: number, reason: string): void {
    switch (code) {
      case FORBIDDEN:
      case NOT_FOUND:
        return this.#refuse(code, reason)
      case UNAUTHENTICATED:
        if (!this.#options.renewable || this.#renewing) return this.#refuse(code, reason)
        this.#renewing = true
        return this.#later(0)
      case RESTART:
        this.#attempt = 0
        return this.#later(0)
      case TRY_AGAIN_LATER:
      case RATE:
        return this.#later(this.#options.tryAgainMs)
      default:
        return this.#later(0)
    }
  }

  #refuse(code: number, reason: string): void {
    this.#leave()
    this.#refusal = { code, reason }
    this.#setStatus('refused')
  }

  #later(leastMs: number): void {
    const { backoffBaseMs, backoffCapMs } = this.#options
    const waitMs = leastMs + backoffMs(this.#attempt, backoffBaseMs, backoffCapMs, Math.random())
    this.#attempt += 1
    this.#notBeforeMs = leastMs > 0 ? Date.now() + leastMs : 0
    this.#setStatus(this.#absent())
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => this.#connect(), waitMs)
  }

  #leave(): void {
    this.#wanted = false
    this.#serial += 1
    clearTimeout(this.#retry)
    clearInterval(this.#watch)
    if (typeof window !== 'undefined') {
      window.removeEventListener('online', this.#hurry)
      window.removeEventListener('offline', this.#lose)
      document.removeEventListener('visibilitychange', this.#wake)
    }
  }

  #absent(): Status {
    if (typeof navigator !== 'undefined' && navigator.onLine === false) return 'offline'
    return this.#everOpen || this.#attempt > 0 ? 'reconnecting' : 'connecting'
  }

  #setStatus(status: Status): void {
    if (status === this.#status) return
    this.#status = status
    this.#options.onstatus(status)
  }
}
