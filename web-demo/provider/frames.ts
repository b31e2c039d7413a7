import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

// The y-websocket dialect: https://github.com/yjs/y-protocols/blob/master/PROTOCOL.md
const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3

const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2

/** One message of the y-websocket dialect, as the server sends it. */
export type Frame =
  | { type: 'step1'; stateVector: Uint8Array }
  | { type: 'step2' | 'update'; update: Uint8Array }
  | { type: 'awareness'; update: Uint8Array }
  | { type: 'denied'; reason: string }
  | { type: 'queryAwareness' }
  | { type: 'unknown' }

/** Reads one frame; throws where the bytes end too early. */
export function readFrame(bytes: Uint8Array): Frame {
  const decoder = decoding.createDecoder(bytes)
  switch (decoding.readVarUint(decoder)) {
    case SYNC:
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
    case AWARENESS:
      return { type: 'awareness', update: decoding.readVarUint8Array(decoder) }
    case AUTH:
      decoding.readVarUint(decoder)
      return { type: 'denied', reason: decoding.readVarString(decoder) }
    case QUERY_AWARENESS:
      return { type: 'queryAwareness' }
    default:
      return { type: 'unknown' }
  }
}

export const writeStep1 = (stateVector: Uint8Array): Uint8Array => sync(STEP_1, stateVector)
export const writeStep2 = (update: Uint8Array): Uint8Array => sync(STEP_2, update)
export const writeUpdate = (update: Uint8Array): Uint8Array => sync(UPDATE, update)

export function writeAwareness(update: Uint8Array): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, AWARENESS)
  encoding.writeVarUint8Array(encoder, update)
  return encoding.toUint8Array(encoder)
}

function sync(step: number, body: Uint8Array): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, SYNC)
  encoding.writeVarUint(encoder, step)
  encoding.writeVarUint8Array(encoder, body)
  return encoding.toUint8Array(encoder)
}
