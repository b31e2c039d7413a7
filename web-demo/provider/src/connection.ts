import { backoffMs } from './backoff.js'
import { CloseCode, judge, type Refusal } from './close-codes.js'
import { CollabDocument, type ConnectionStatus, type OpenOptions } from './document.js'
import { Doubts } from './doubts.js'
import { Emitter, report } from './emitter.js'
import { DocumentOpen, Ended, FrameError } from './errors.js'
import { FallbackTransport } from './fallback.js'
import { readFrame } from './frames.js'
import { Ladder } from './ladder.js'
import { Listeners, type MessageListener } from './messages.js'
import type { ConnectionEvents, ConnectionOptions } from './options.js'
import { SocketTransport } from './socket.js'
import { isOffline, watchSurroundings } from './surroundings.js'
import { channelName } from './tabs.js'
import { TIMINGS, type Timings } from './timings.js'
import type { Transport, TransportEvents, TransportKind } from './transport.js'

/** How long a connection without documents stays open: the next one is often opened at once. */
const LINGER_MS = 2_000

/**
 * A connection to a collab server that comes back, for as many documents as are opened on it.
 *
 * It connects while a document is open.
 */
export class Connection extends Emitter<
  // It wants an index signature, which an interface lacks.
  { [Name in keyof ConnectionEvents]: ConnectionEvents[Name] }
> {
  readonly #options: ConnectionOptions
  readonly #base: URL
  readonly #timings: Timings
  readonly #documents = new Map<string, CollabDocument>()
  /** The same, by what they are called on the connection. */
  readonly #byAddress = new Map<string, CollabDocument>()
  /** What was closed on this transport. */
  readonly #closed = new Set<string>()
  #reopened = 0
  readonly #listeners = new Listeners()
  readonly #ladder: Ladder
  #status: ConnectionStatus = 'offline'
  #transport: Transport | null = null
  #isOpen = false
  #hasHeard = false
  #openedAtMs = 0
  /** What is tried beside the fallback. */
  #climber: Transport | null = null
  #climbing: ReturnType<typeof setTimeout> | undefined
  #probing: ReturnType<typeof setTimeout> | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #lingering: ReturnType<typeof setTimeout> | undefined
  #notBeforeMs = 0
  #attempt = 0
  readonly #doubts = new Doubts()
  #isRenewing = false
  #everOpen = false
  #isPaused = false
  #hasEnded = false
  #unwatch: (() => void) | null = null

  constructor(options: ConnectionOptions) {
    super()
    this.#options = options
    this.#base = new URL(String(options.url))
    this.#base.pathname = this.#base.pathname.replace(/\/*$/, '/')
    this.#timings = { ...TIMINGS, ...options.timings }
    this.#ladder = new Ladder(this.#timings.climbBaseMs, this.#timings.climbCapMs)
  }

  get status(): ConnectionStatus {
    return this.#status
  }

  /** What carries frames now; null while nothing does. */
  get transport(): TransportKind | null {
    return this.#isOpen ? (this.#transport?.kind ?? null) : null
  }

  /** The documents that are open, by name. */
  get documents(): ReadonlyMap<string, CollabDocument> {
    return this.#documents
  }

  /**
   * Opens a document and keeps it in sync until it is closed.
   *
   * @throws DocumentOpen where it is open on this connection already
   */
  open(name: string, options: OpenOptions = {}): CollabDocument {
    if (this.#hasEnded) throw new Ended('expected a connection, got one that was destroyed')
    if (this.#documents.has(name)) {
      throw new DocumentOpen(`expected a document that is not open, got "${name}"`)
    }
    const address = this.#addressOf(name)
    const document: CollabDocument = new CollabDocument(name, options, {
      address,
      getToken: this.#options.getToken ?? null,
      timings: this.#timings,
      listeners: this.#listeners,
      getChannel: () => channelName(this.#base.href, name, this.#options),
      status: () => this.#status,
      isPaused: () => this.#isPaused,
      send: (frame) => this.#transport?.send(frame),
      onwish: () => this.#follow(),
      onclose: () => {
        this.#documents.delete(name)
        this.#byAddress.delete(address)
        if (this.#transport) this.#closed.add(name)
        this.#follow()
      },
    })
    this.#documents.set(name, document)
    this.#byAddress.set(address, document)
    if (this.#isOpen) document.connected()
    this.#follow()
    return document
  }

  /** Calls a listener for each application message of a type, in whatever document it comes. */
  onMessage(type: string, listener: MessageListener): () => void {
    return this.#listeners.on(type, listener)
  }

  /** Connects again after `disconnect()`, or at once where it waits to. */
  connect(): void {
    this.#isPaused = false
    this.#wake()
    this.#follow()
    this.#update()
  }

  /** Stays away until `connect()`; documents stay open, and what is written there waits. */
  disconnect(): void {
    this.#isPaused = true
    this.#follow()
    this.#update()
  }

  /** Closes every document, and the connection for good. */
  override destroy(): void {
    this.#hasEnded = true
    for (const document of [...this.#documents.values()]) document.close()
    this.#rest()
    super.destroy()
  }

  /**
   * What a document is to be called on the connection.
   *
   * Where it was closed a moment ago, answers to what was said of it then may be on their way, and would
   * be taken for answers to what is said now. The server repeats the name, NUL and what is behind it.
   */
  #addressOf(name: string): string {
    if (!this.#closed.has(name)) return name
    this.#reopened += 1
    return `${name}\0${this.#reopened}`
  }

  /** Connects or rests, as the documents wish. */
  #follow(): void {
    clearTimeout(this.#lingering)
    const isWanted = [...this.#documents.values()].some(({ refusal }) => refusal === null)
    if (this.#isPaused || this.#hasEnded) return this.#rest()
    if (isWanted) return this.#rise()
    if (this.#unwatch) this.#lingering = setTimeout(() => this.#rest(), LINGER_MS)
  }

  /** Connects, and stays connected from now on. */
  #rise(): void {
    if (this.#unwatch) return
    this.#attempt = 0
    this.#doubts.clear()
    this.#notBeforeMs = 0
    this.#isRenewing = false
    const surroundings = { onwake: this.#wake, onoffline: this.#lose, onleave: this.#lose }
    this.#unwatch = watchSurroundings(surroundings, () => this.#transport?.check(this.#timings.silenceMs))
    this.#connect()
  }

  /** Ends what there is, and stays away. */
  #rest(): void {
    this.#unwatch?.()
    this.#unwatch = null
    clearTimeout(this.#lingering)
    clearTimeout(this.#retry)
    this.#detach()?.close()
    this.#setStatus('offline')
  }

  readonly #wake = (): void => {
    if (!this.#unwatch) return
    if (Date.now() < this.#notBeforeMs) return
    this.#attempt = 0
    this.#ladder.forget()
    if (!this.#transport) return this.#connect()
    this.#transport.check(this.#timings.silenceMs)
    this.#probe()
    // The network may be another one, which lets WebSockets through.
    if (this.transport === 'stream' || this.transport === 'poll') this.#climb()
  }

  /** Has the server say something, and gives it up soon where it does not: the network may have changed unnoticed. */
  #probe(): void {
    clearTimeout(this.#probing)
    this.#probing = setTimeout(() => this.#transport?.check(0), this.#timings.probeMs)
    const isAsked = [...this.#documents.values()].some((document) => document.probe())
    if (!isAsked) clearTimeout(this.#probing)
  }

  readonly #lose = (): void => {
    // The browser would take minutes to notice. Where it errs (a server on this machine), the next
    // attempt mends it at once.
    this.#detach()?.close()
    this.#later(0)
  }

  #connect(): void {
    clearTimeout(this.#retry)
    this.#setStatus(this.#absent())
    this.#hasHeard = false
    const kinds = this.#options.transports ?? ['websocket', 'stream', 'poll']
    const fallback = kinds.includes('stream') ? 'stream' : kinds.includes('poll') ? 'poll' : null
    if (fallback && (!kinds.includes('websocket') || this.#ladder.fallsBack)) {
      this.#transport = new FallbackTransport(
        this.#address('http', 'sse'),
        fallback,
        this.#options.fetch ?? fetch.bind(globalThis),
        this.#timings,
        this.#eventsOf(() => this.#ladder.fellThrough()),
      )
    } else {
      this.#transport = this.#openSocket(this.#eventsOf(() => this.#ladder.failed()))
    }
  }

  #openSocket(events: TransportEvents): Transport {
    const url = this.#address('ws', 'hocuspocus')
    return new SocketTransport(url.href, this.#options.WebSocket ?? WebSocket, this.#timings, events)
  }

  #address(scheme: 'ws' | 'http', path: string): URL {
    const url = new URL(path, this.#base)
    url.protocol = url.protocol.replace(/^(http|ws)/, scheme)
    const name = this.#options.getName?.()
    if (name) url.searchParams.set('name', name)
    return url
  }

  /** @param onfail called where it ends before anything came */
  #eventsOf(onfail: () => void): TransportEvents {
    return {
      onopen: () => this.#opened(),
      onframe: (frame) => this.#receive(frame),
      onstall: (isStalled) => {
        if (this.#isOpen) this.#setStatus(isStalled ? this.#absent() : 'connected')
      },
      onkind: () => {
        if (this.#isOpen) this.emit('transport', [this.transport])
      },
      onclose: (code, reason) => {
        if (!this.#hasHeard) onfail()
        this.#detach()
        this.#judge(code, reason)
      },
    }
  }

  #opened(): void {
    const transport = this.#transport
    this.#isOpen = this.#everOpen = true
    this.#openedAtMs = Date.now()
    this.#setStatus('connected')
    if (this.#transport !== transport) return // A listener has ended it.
    this.emit('transport', [this.transport])
    for (const document of [...this.#documents.values()]) {
      if (this.#transport === transport) document.connected()
    }
    if (this.#transport === transport && transport?.kind !== 'websocket') this.#waitToClimb()
  }

  #receive(frame: Uint8Array): void {
    if (!this.#hasHeard && this.#transport?.kind === 'websocket') this.#ladder.worked()
    this.#hasHeard = true
    clearTimeout(this.#probing)
    try {
      const { address, message } = readFrame(frame)
      if (message.type === 'admitted') this.#isRenewing = false
      this.#byAddress.get(address)?.receive(message)
    } catch (error) {
      if (error instanceof FrameError) {
        this.#detach()?.close()
        this.#judge(CloseCode.MALFORMED, error.message)
      } else {
        report(error) // An application's listener failed.
      }
    }
  }

  /** Lets go of the transport, and tells the documents. */
  #detach(): Transport | null {
    clearTimeout(this.#climbing)
    clearTimeout(this.#probing)
    this.#climber?.close()
    this.#climber = null
    const transport = this.#transport
    this.#transport = null
    this.#closed.clear()
    if (!this.#isOpen) return transport
    this.#isOpen = false
    if (Date.now() - this.#openedAtMs >= this.#timings.backoffCapMs) this.#attempt = 0
    this.#setStatus(this.#absent())
    this.emit('transport', [null])
    for (const document of [...this.#documents.values()]) document.disconnected()
    return transport
  }

  #judge(code: number, reason: string): void {
    const verdict = judge(code)
    if (verdict === 'stop') return this.#refuse({ code, reason })
    if (verdict === 'renew') {
      for (const document of this.#documents.values()) document.forgetToken()
      if (code === CloseCode.UNAUTHENTICATED) {
        if (!this.#options.getToken || this.#isRenewing) return this.#refuse({ code, reason })
        this.#isRenewing = true
      }
    } else if (verdict === 'doubt') {
      if (this.#doubts.add(Date.now())) return this.#refuse({ code, reason })
    }
    this.#later(verdict === 'wait' ? this.#timings.tryAgainMs : 0)
  }

  /** The server will not have this client at all. */
  #refuse(refusal: Refusal): void {
    for (const document of [...this.#documents.values()]) document.refuse(refusal)
    this.#rest() // Last: as long as one document wishes for a connection, there is one.
  }

  #later(leastMs: number): void {
    if (!this.#unwatch) return
    const { backoffBaseMs, backoffCapMs } = this.#timings
    const waitMs = leastMs + backoffMs(this.#attempt, backoffBaseMs, backoffCapMs, Math.random())
    this.#attempt += 1
    this.#notBeforeMs = leastMs > 0 ? Date.now() + leastMs : 0
    this.#setStatus(this.#absent())
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => this.#connect(), waitMs)
  }

  #waitToClimb(): void {
    clearTimeout(this.#climbing)
    if (this.#options.transports && !this.#options.transports.includes('websocket')) return
    this.#climbing = setTimeout(() => this.#climb(), this.#ladder.climbMs)
  }

  /** Tries a WebSocket beside the fallback, and goes over to it where it opens. */
  #climb(): void {
    clearTimeout(this.#climbing)
    if (this.#climber) return
    const own = this.#eventsOf(() => this.#ladder.failed())
    let isMain = false
    const climber = this.#openSocket({
      ...own,
      onopen: () => {
        isMain = true
        this.#climber = null
        this.#detach()?.close()
        this.#transport = climber
        this.#hasHeard = false
        own.onopen()
      },
      onclose: (code, reason) => {
        if (isMain) return own.onclose(code, reason)
        this.#climber = null
        this.#ladder.slipped()
        this.#waitToClimb()
      },
    })
    this.#climber = climber
  }

  #absent(): ConnectionStatus {
    if (isOffline()) return 'offline'
    return this.#everOpen || this.#attempt > 0 ? 'reconnecting' : 'connecting'
  }

  #setStatus(status: ConnectionStatus): void {
    if (status === this.#status) return
    this.#status = status
    this.#update()
    this.emit('status', [status])
  }

  #update(): void {
    for (const document of [...this.#documents.values()]) document.update()
  }
}
