import { readFileSync } from 'node:fs'

import * as buffer from 'lib0/buffer'
import { expect, test } from 'vitest'

import { FrameError } from '../src/errors.js'
import {
  type Message,
  readFrame,
  writeAwareness,
  writeClose,
  writeStateless,
  writeStep1,
  writeStep2,
  writeToken,
  writeUpdate,
} from '../src/frames.js'

interface Fixture {
  document: string
  server: Record<string, string>
  client: Record<string, string>
}

// The server's own tests hold it to the same file.
const file = new URL('../../../tests/fixtures/hocuspocus-frames.json', import.meta.url)
const { document, server, client } = JSON.parse(readFileSync(file, 'utf8')) as Fixture
const frameOf = (name: string): Uint8Array => buffer.fromHexString(server[name]!)

const EMPTY_UPDATE = Uint8Array.of(0, 0)
const AWARENESS = Uint8Array.of(1, 7, 3, 2, 0x7b, 0x7d)
const PAYLOAD = '{"type":"ping","payload":"é 😀"}'

const SAID: Record<string, Message> = {
  step1: { type: 'step1', stateVector: Uint8Array.of(0) },
  step2: { type: 'step2', update: EMPTY_UPDATE },
  update: { type: 'update', update: EMPTY_UPDATE },
  awareness: { type: 'awareness', update: AWARENESS },
  queryAwareness: { type: 'queryAwareness' },
  askToken: { type: 'askToken' },
  readWrite: { type: 'admitted', access: 'read-write' },
  readOnly: { type: 'admitted', access: 'readonly' },
  denied: { type: 'denied', code: 4403, reason: 'nicht für dich' },
  closed: { type: 'closed', code: 4404, reason: 'the document was deleted' },
  stateless: { type: 'stateless', payload: PAYLOAD },
  stored: { type: 'receipt', accepted: true },
  refused: { type: 'receipt', accepted: false },
}

test('there is a reading for each frame of the server', () => {
  expect(Object.keys(server).sort()).toEqual(Object.keys(SAID).sort())
})

test.each(Object.entries(SAID))('%s is read as the server means it', (name, message) => {
  expect(readFrame(frameOf(name))).toEqual({ address: document, message })
})

test.each(Object.keys(SAID))('a %s frame that was cut off is refused or says less', (name) => {
  const frame = frameOf(name)
  for (let length = 0; length < frame.byteLength; length += 1) {
    const read = (): Message => readFrame(frame.subarray(0, length)).message
    // A close code is what may be missing: Hocuspocus' own servers send none.
    try {
      expect(read()).toMatchObject({ type: SAID[name]!.type, code: null })
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
    }
  }
})

test('frames are written as the server reads them', () => {
  const written: Record<string, Uint8Array> = {
    step1: writeStep1(document, Uint8Array.of(0)),
    step2: writeStep2(document, EMPTY_UPDATE),
    update: writeUpdate(document, EMPTY_UPDATE),
    awareness: writeAwareness(document, AWARENESS),
    stateless: writeStateless(document, PAYLOAD),
    token: writeToken(document, 'säcret'),
    close: writeClose(document),
  }
  const hex = Object.entries(written).map(([name, frame]) => [name, buffer.toHexString(frame)])
  expect(Object.fromEntries(hex)).toEqual(client)
})
