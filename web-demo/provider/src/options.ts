import type { ConnectionStatus } from './document.js'
import type { GetToken } from './session.js'
import type { WebSocketClass } from './socket.js'
import type { Timings } from './timings.js'
import type { TransportKind } from './transport.js'

export interface ConnectionOptions {
  /** Where the server is mounted, such as `https://example.org/collab/`. */
  url: string | URL
  /** Gives the token for a document; asked again when the server no longer takes the last one. */
  getToken?: GetToken
  /** What people here call themselves: kept beside what they write where nobody is authenticated. */
  getName?: () => string
  /**
   * Says who is here, in any words. Tabs of one browser that say the same go on together while the server is out of
   * reach, and each stores what was written in all of them; with null a tab goes on alone. Asked whenever a tab says or
   * hears something: somebody else may have signed in.
   *
   * By default all tabs do where there is no `getToken`, and none where there is one: it may know others in each.
   */
  getTabs?: () => string | null
  /** What may carry frames: all of it by default. */
  transports?: readonly TransportKind[]
  /** The WebSocket class, where the platform has none. */
  WebSocket?: WebSocketClass
  /** What fetches, where the platform has nothing or the app wraps it. */
  fetch?: typeof fetch
  /** How long things take and wait. */
  timings?: Partial<Timings>
}

export interface ConnectionEvents {
  status: (status: ConnectionStatus) => void
  /** What carries frames now; null while nothing does. */
  transport: (kind: TransportKind | null) => void
}
