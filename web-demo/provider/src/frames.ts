import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

import { FrameError } from './errors.js'

// The Hocuspocus dialect, with collab's close codes behind refusals: docs/reference/http.md.
const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const STATELESS = 5
const CLOSE = 7
const SYNC_STATUS = 8

const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2

const TOKEN = 0
const DENIED = 1
const ADMITTED = 2

/** What the server is told of this client's version: any makes it a client that takes closes. */
const VERSION = 'collab-provider'

/** What a client may do with a document. */
export type Access = 'read-write' | 'readonly'

/** What the server says of one document. */
export type Message =
  | { type: 'step1'; stateVector: Uint8Array }
  | { type: 'step2' | 'update'; update: Uint8Array }
  | { type: 'awareness'; update: Uint8Array }
  | { type: 'queryAwareness' }
  | { type: 'askToken' }
  | { type: 'admitted'; access: Access }
  | { type: 'denied' | 'closed'; code: number | null; reason: string }
  | { type: 'receipt'; accepted: boolean }
  | { type: 'stateless'; payload: string }
  | { type: 'unknown' }

/**
 * Reads a frame: what the document is called that it is about, and what is said.
 *
 * @throws FrameError where the bytes end too early
 */
export function readFrame(frame: Uint8Array): { address: string; message: Message } {
  try {
    const decoder = decoding.createDecoder(frame)
    const address = decoding.readVarString(decoder)
    return { address, message: readMessage(decoder) }
  } catch (error) {
    throw new FrameError(`expected a whole frame, got ${frame.byteLength} bytes`, { cause: error })
  }
}

function readMessage(decoder: decoding.Decoder): Message {
  switch (decoding.readVarUint(decoder)) {
    case SYNC:
      return readSync(decoder)
    case AWARENESS:
      return { type: 'awareness', update: decoding.readVarUint8Array(decoder) }
    case AUTH:
      return readAuth(decoder)
    case QUERY_AWARENESS:
      return { type: 'queryAwareness' }
    case STATELESS:
      return { type: 'stateless', payload: decoding.readVarString(decoder) }
    case CLOSE:
      return { type: 'closed', ...readRefusal(decoder) }
    case SYNC_STATUS:
      return { type: 'receipt', accepted: decoding.readVarUint(decoder) === 1 }
    default:
      return { type: 'unknown' }
  }
}

function readSync(decoder: decoding.Decoder): Message {
  switch (decoding.readVarUint(decoder)) {
    case STEP_1:
      return { type: 'step1', stateVector: decoding.readVarUint8Array(decoder) }
    case STEP_2:
      return { type: 'step2', update: decoding.readVarUint8Array(decoder) }
    case UPDATE:
      return { type: 'update', update: decoding.readVarUint8Array(decoder) }
    default:
      return { type: 'unknown' }
  }
}

function readAuth(decoder: decoding.Decoder): Message {
  switch (decoding.readVarUint(decoder)) {
    case TOKEN:
      return { type: 'askToken' }
    case DENIED:
      return { type: 'denied', ...readRefusal(decoder) }
    case ADMITTED: {
      const access = decoding.readVarString(decoder)
      return { type: 'admitted', access: access === 'read-write' ? access : 'readonly' }
    }
    default:
      return { type: 'unknown' }
  }
}

/** A reason, and the close code that Hocuspocus' own servers do not send. */
function readRefusal(decoder: decoding.Decoder): { code: number | null; reason: string } {
  const reason = decoding.readVarString(decoder)
  return { reason, code: decoding.hasContent(decoder) ? decoding.readVarUint(decoder) : null }
}

export const writeStep1 = (address: string, stateVector: Uint8Array): Uint8Array =>
  sync(address, STEP_1, stateVector)
export const writeStep2 = (address: string, update: Uint8Array): Uint8Array =>
  sync(address, STEP_2, update)
export const writeUpdate = (address: string, update: Uint8Array): Uint8Array =>
  sync(address, UPDATE, update)

export function writeToken(address: string, token: string): Uint8Array {
  return write(address, AUTH, (encoder) => {
    encoding.writeVarUint(encoder, TOKEN)
    encoding.writeVarString(encoder, token)
    encoding.writeVarString(encoder, VERSION)
  })
}

export function writeAwareness(address: string, update: Uint8Array): Uint8Array {
  return write(address, AWARENESS, (encoder) => encoding.writeVarUint8Array(encoder, update))
}

export function writeStateless(address: string, payload: string): Uint8Array {
  return write(address, STATELESS, (encoder) => encoding.writeVarString(encoder, payload))
}

export function writeClose(address: string): Uint8Array {
  return write(address, CLOSE, () => undefined)
}

function sync(address: string, step: number, body: Uint8Array): Uint8Array {
  return write(address, SYNC, (encoder) => {
    encoding.writeVarUint(encoder, step)
    encoding.writeVarUint8Array(encoder, body)
  })
}

function write(
  address: string,
  type: number,
  writeBody: (encoder: encoding.Encoder) => void,
): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, address)
  encoding.writeVarUint(encoder, type)
  writeBody(encoder)
  return encoding.toUint8Array(encoder)
}
