/** What carries frames. */
export type TransportKind = 'websocket' | 'stream' | 'poll'

/** What a transport tells; nothing more after `onclose`, and nothing after `close()`. */
export interface TransportEvents {
  /** Frames may be sent. */
  onopen: () => void
  onframe: (frame: Uint8Array) => void
  /** It cannot reach the server and tries to, or no longer. */
  onstall: (isStalled: boolean) => void
  /** It has become another kind. */
  onkind: () => void
  /** It has ended, with a close code. */
  onclose: (code: number, reason: string) => void
}

/** A connection to the server: opened when made, ended for good once it is closed. */
export interface Transport {
  readonly kind: TransportKind
  /** Sends a frame; only once it is open. */
  send(frame: Uint8Array): void
  /** Ends it where the server was silent for so long, milliseconds. */
  check(silenceMs: number): void
  /** Ends it. */
  close(): void
}
