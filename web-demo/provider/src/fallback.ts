import * as buffer from 'lib0/buffer'

import { backoffMs } from './backoff.js'
import { CloseCode } from './close-codes.js'
import { EventReader, type StreamEvent } from './event-stream.js'
import { Posts } from './posts.js'
import { Silence } from './silence.js'
import type { Timings } from './timings.js'
import type { Transport, TransportEvents, TransportKind } from './transport.js'

/** How long the server keeps a session that nobody reads, and a little less, milliseconds. */
const RESUME_MS = 25_000
/** How long a session that takes no POST waits to hear why, milliseconds. */
const FAREWELL_MS = 3_000

/** Close codes for the statuses of a refused GET. */
const CLOSE_CODES: Readonly<Record<number, number>> = {
  401: CloseCode.UNAUTHENTICATED,
  403: CloseCode.FORBIDDEN,
  429: CloseCode.TRY_AGAIN_LATER,
  503: CloseCode.TRY_AGAIN_LATER,
}

/** A GET that was answered with something else than events. */
class Refused {
  readonly status: number

  constructor(status: number) {
    this.status = status
  }
}

/**
 * Frames over plain HTTP: an event stream down and POSTs up, or polls where the stream is held back.
 *
 * See docs/reference/fallback-protocol.md. A session outlives the requests it is made of.
 */
export class FallbackTransport implements Transport {
  readonly #url: URL
  readonly #fetch: typeof fetch
  readonly #timings: Timings
  readonly #events: TransportEvents
  #kind: Exclude<TransportKind, 'websocket'>
  #session: string | null = null
  #lastId = ''
  #posts: Posts | null = null
  #reading = new AbortController()
  readonly #silence = new Silence()
  #hasBegun = false
  #hasEnded = false
  #farewell: ReturnType<typeof setTimeout> | undefined

  /** @param kind what to begin with; a stream that is held back becomes polls by itself */
  constructor(
    url: URL,
    kind: Exclude<TransportKind, 'websocket'>,
    fetch_: typeof fetch,
    timings: Timings,
    events: TransportEvents,
  ) {
    this.#url = url
    this.#kind = kind
    this.#fetch = fetch_
    this.#timings = timings
    this.#events = events
    void this.#run()
  }

  get kind(): TransportKind {
    return this.#kind
  }

  send(frame: Uint8Array): void {
    this.#posts?.send(frame)
  }

  check(silenceMs: number): void {
    // What was heard last came by this GET: another one may get through.
    if (this.#silence.ms >= silenceMs) this.#reading.abort()
  }

  close(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#reading.abort()
    void this.#leave()
  }

  /** Ends the session, after what waits: it may be the last that somebody wrote. */
  async #leave(): Promise<void> {
    await this.#posts?.finish()
    this.#letGo()
    if (this.#session === null) return
    const headers = { 'Collab-Session': this.#session }
    // The page may be about to go.
    await this.#fetch(this.#url.href, { method: 'DELETE', headers, keepalive: true }).catch(() => undefined)
  }

  /** Reads until the session is over, by one GET after the other. */
  async #run(): Promise<void> {
    const { backoffBaseMs, backoffCapMs } = this.#timings
    let failedSinceMs: number | null = null
    for (let attempt = 0; !this.#hasEnded; ) {
      this.#hasBegun = false
      let failure: unknown = null
      try {
        await this.#read()
      } catch (error) {
        failure = error
      }
      if (this.#hasEnded) return
      if (failure instanceof Refused && failure.status !== 409 && failure.status < 500) {
        return this.#end(CLOSE_CODES[failure.status] ?? CloseCode.ABNORMAL, `got ${failure.status}`)
      }
      if (this.#hasBegun) {
        attempt = 0
        failedSinceMs = null
        if (failure === null) continue
      } else if (this.#kind === 'stream' && failure === HELD_BACK) {
        this.#kind = 'poll'
        this.#events.onkind()
        continue
      }
      failedSinceMs ??= Date.now()
      if (this.#session === null || Date.now() - failedSinceMs > RESUME_MS) {
        const status = failure instanceof Refused ? failure.status : 0
        return this.#end(CLOSE_CODES[status] ?? CloseCode.ABNORMAL, 'the server is not reached')
      }
      this.#events.onstall(true)
      await new Promise((resolve) =>
        setTimeout(resolve, backoffMs(attempt, backoffBaseMs, backoffCapMs, Math.random())),
      )
      attempt += 1
    }
  }

  /** Makes one GET and reads it to its end. */
  async #read(): Promise<void> {
    const reading = (this.#reading = new AbortController())
    const { streamMs, silenceMs } = this.#timings
    this.#silence.end()
    const url = new URL(this.#url)
    const isPoll = this.#kind === 'poll'
    if (isPoll) url.searchParams.set('poll', '1')
    // The first poll is answered at once, later ones when there is something to say.
    const beginMs = !isPoll ? streamMs : this.#session === null ? 2 * streamMs : silenceMs
    const late = setTimeout(() => reading.abort(HELD_BACK), beginMs)
    const headers: Record<string, string> = { Accept: 'text/event-stream' }
    if (this.#lastId !== '') headers['Last-Event-ID'] = this.#lastId
    try {
      const response = await this.#fetch(url.href, {
        headers,
        cache: 'no-store',
        signal: reading.signal,
      })
      if (!response.ok || !response.body) throw new Refused(response.status)
      const events = new EventReader()
      const pieces = response.body.getReader()
      for (;;) {
        const { done, value } = await pieces.read()
        if (done) return
        this.#silence.end()
        for (const event of events.read(value)) {
          clearTimeout(late)
          this.#receive(event)
          if (this.#hasEnded) return
        }
      }
    } finally {
      clearTimeout(late)
    }
  }

  #receive(event: StreamEvent): void {
    this.#hasBegun = true
    switch (event.type) {
      case 'open':
        return this.#begin(event)
      case 'frame':
        this.#lastId = event.id
        this.#events.onframe(buffer.fromBase64(event.data))
        // Also what asks for a sign of life comes as a frame, in tabs whose timers sleep.
        this.#posts?.live()
        return
      case 'close': {
        const { code, reason } = JSON.parse(event.data) as { code: number; reason: string }
        return this.#end(code, reason)
      }
    }
  }

  #begin({ data, id }: StreamEvent): void {
    const { session, resumed } = JSON.parse(data) as { session: string; resumed: boolean }
    const isFirst = this.#session === null
    this.#session = session
    this.#lastId = id
    if (isFirst) {
      this.#posts = new Posts(this.#url.href, session, this.#fetch, this.#timings, (code) =>
        this.#fail(code),
      )
      this.#events.onopen()
    } else if (resumed) {
      this.#events.onstall(false)
    } else {
      // The server knows nothing of the old session: everything begins anew.
      this.close()
      this.#events.onclose(CloseCode.RESTART, 'the session is over')
    }
  }

  /** The session takes no more frames. */
  #fail(code: number): void {
    if (this.#hasEnded) return
    if (code !== 410) return this.#end(code, 'a POST was refused')
    this.#farewell = setTimeout(() => this.#end(CloseCode.ABNORMAL, 'the session is over'), FAREWELL_MS)
  }

  #end(code: number, reason: string): void {
    if (this.#hasEnded) return
    this.#letGo()
    this.#events.onclose(code, reason)
  }

  #letGo(): void {
    this.#hasEnded = true
    clearTimeout(this.#farewell)
    this.#posts?.close()
    this.#reading.abort()
  }
}

/** Why a GET was given up: nothing of it came in time. */
const HELD_BACK = new Error('expected the beginning of an answer, got nothing in time')
