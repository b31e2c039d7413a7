export { CloseCode, type Refusal } from './close-codes.js'
export { Connection } from './connection.js'
export {
  CollabDocument,
  type ConnectionStatus,
  type DocumentEvents,
  type OpenOptions,
  type Progress,
  type Status,
} from './document.js'
export { CollabError, DocumentOpen, Ended, FrameError, MessageRefused } from './errors.js'
export { EventReader, type StreamEvent } from './event-stream.js'
export type { Access } from './frames.js'
export type { Json, MessageListener, MessageOptions, Messages, Origin } from './messages.js'
export type { ConnectionEvents, ConnectionOptions } from './options.js'
export type { Peer, Presence, PresenceState } from './presence.js'
export type { GetToken } from './session.js'
export type { WebSocketClass } from './socket.js'
export type { Timings } from './timings.js'
export type { TransportKind } from './transport.js'
