import * as encoding from 'lib0/encoding'

import { backoffMs } from './backoff.js'
import { CloseCode } from './close-codes.js'
import { PART_BYTES } from './parts.js'
import { Silence } from './silence.js'
import type { Timings } from './timings.js'

/** Frames the server takes in one POST. */
const MOST_FRAMES = 1_000
/** A POST takes frames up to here, and at least one, bytes: servers bound it as they bound a frame. */
const MOST_BYTES = PART_BYTES
/** How long a POST may take, milliseconds: the server allows 120 s. */
const POST_MS = 130_000
/** After so long without a POST an empty one shows that this client lives, milliseconds. */
const REST_MS = 15_000

/** How long what waits at the end may take, milliseconds. */
const FINISH_MS = 3_000
/** POSTs up to here outlive their page, bytes: browsers allow 64 KiB of such requests at a time. */
const OUTLIVING_BYTES = 32 * 1024

/** How a POST's answer reads where the session is over and the way down tells why. */
const GONE = 410

const CLOSE_CODES: Readonly<Record<number, number>> = {
  400: CloseCode.MALFORMED,
  401: CloseCode.UNAUTHENTICATED,
  403: CloseCode.FORBIDDEN,
  409: CloseCode.ABNORMAL,
  413: CloseCode.TOO_LARGE,
}

/** The way up of one session of the fallback protocol: numbered POSTs, one at a time. */
export class Posts {
  readonly #url: string
  readonly #session: string
  readonly #fetch: typeof fetch
  readonly #timings: Timings
  readonly #onfail: (code: number) => void
  readonly #ending = new AbortController()
  #waiting: Uint8Array[] = []
  #count = 0
  #isPosting = false
  #posting: Promise<void> = Promise.resolve()
  readonly #silence = new Silence()

  /** @param onfail told once that the session takes nothing more; 410 where the way down tells why */
  constructor(
    url: string,
    session: string,
    fetch_: typeof fetch,
    timings: Timings,
    onfail: (code: number) => void,
  ) {
    this.#url = url
    this.#session = session
    this.#fetch = fetch_
    this.#timings = timings
    this.#onfail = onfail
  }

  /** Sends a frame, after those before it. */
  send(frame: Uint8Array): void {
    this.#waiting.push(frame)
    this.#post()
  }

  /** Shows that this client lives, where it has said nothing for a while. */
  live(): void {
    if (this.#silence.ms > REST_MS) this.#post(true)
  }

  /** Sends what waits, and nothing after it; gives that up where it takes long. */
  async finish(): Promise<void> {
    const late = setTimeout(() => this.close(), FINISH_MS)
    await this.#posting
    clearTimeout(late)
    this.close()
  }

  /** Sends nothing more. */
  close(): void {
    this.#ending.abort()
  }

  /** Posts until nothing waits; what comes meanwhile goes with the next one. */
  #post(isSign = false): void {
    if (!this.#isPosting) this.#posting = this.#postAll(isSign)
  }

  async #postAll(isSign: boolean): Promise<void> {
    this.#isPosting = true
    // What is sent in one go goes in one POST.
    await Promise.resolve()
    while (!this.#ending.signal.aborted && (isSign || this.#waiting.length > 0)) {
      isSign = false
      this.#count += 1
      const status = await this.#deliver(this.#take())
      if (this.#ending.signal.aborted) return
      if (status !== 204) {
        this.close()
        this.#onfail(status === GONE ? GONE : (CLOSE_CODES[status] ?? CloseCode.ABNORMAL))
        return
      }
    }
    this.#isPosting = false
  }

  #take(): Uint8Array<ArrayBuffer> {
    const encoder = encoding.createEncoder()
    let taken = 0
    while (taken < this.#waiting.length && taken < MOST_FRAMES) {
      const frame = this.#waiting[taken]!
      if (taken > 0 && encoding.length(encoder) + frame.byteLength > MOST_BYTES) break
      encoding.writeVarUint8Array(encoder, frame)
      taken += 1
    }
    this.#waiting = this.#waiting.slice(taken)
    return encoding.toUint8Array(encoder)
  }

  /** Sends one POST until it is answered for good; returns the status. */
  async #deliver(body: Uint8Array<ArrayBuffer>): Promise<number> {
    const { backoffBaseMs, backoffCapMs } = this.#timings
    for (let attempt = 0; ; attempt += 1) {
      const status = await this.#attempt(body)
      this.#silence.end()
      const isPassing = status === 0 || status === 408 || status === 429 || status >= 500
      if (!isPassing || this.#ending.signal.aborted) return status
      await pause(backoffMs(attempt, backoffBaseMs, backoffCapMs, Math.random()))
      if (this.#ending.signal.aborted) return 0
    }
  }

  /** @returns the status; 0 where nothing was answered */
  async #attempt(body: Uint8Array<ArrayBuffer>): Promise<number> {
    try {
      const { status } = await this.#fetch(this.#url, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/octet-stream',
          'Collab-Session': this.#session,
          'Collab-Post': String(this.#count),
        },
        body,
        keepalive: body.byteLength <= OUTLIVING_BYTES,
        signal: AbortSignal.any([this.#ending.signal, AbortSignal.timeout(POST_MS)]),
      })
      return status
    } catch {
      return 0 // The network failed, the time was up or it was ended: said by the signal.
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
